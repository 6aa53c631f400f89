/** What no package may hold, each refused by whoever takes packages in and by whoever unpacks them. */
import type { HandMadeEntry } from "./hand-made-zip.ts";

const LINK = 0o120777;

export const UNSAFE_PACKAGES: Readonly<Record<string, readonly HandMadeEntry[]>> = {
  "an absolute name": [{ name: "/etc/passwd", content: "x" }],
  "a drive's name": [{ name: "C:/windows", content: "x" }],
  "a name that climbs out": [{ name: "a/../../escaped", content: "x" }],
  "a name that climbs out with backslashes": [{ name: "..\\..\\escaped", content: "x" }],
  "a NUL in a name": [{ name: "a\0b", content: "x" }],
  "a name that is no UTF-8": [{ name: Buffer.from([0x61, 0xff]), content: "x" }],
  "a name longer than Linux allows": [{ name: "a".repeat(256), content: "x" }],
  "a path longer than Linux allows": [{ name: "d/".repeat(1600), content: "x" }],
  "a file without a name": [{ name: "", content: "x" }],
  "the same name twice": [
    { name: "a", content: "1" },
    { name: "./a", content: "2" },
  ],
  "a folder where a file is": [{ name: "a", content: "1" }, { name: "a/b" }],
  "a file where a folder is": [{ name: "a/b" }, { name: "a", content: "1" }],
  "a link out of the package": [{ name: "a", content: "../escaped", mode: LINK }],
  "a link to an absolute name": [{ name: "a", content: "/etc/passwd", mode: LINK }],
  "a link to nothing": [{ name: "a", content: "", mode: LINK }],
  "a link longer than Linux allows": [{ name: "a", content: "b".repeat(4097), mode: LINK }],
  "a link with a folder's name": [{ name: "a/", content: "b", mode: LINK }],
  "a link that climbs out through another": [
    { name: "x/" },
    { name: "a/b/one", content: "../../x", mode: LINK },
    { name: "a/b/two", content: "one/../..", mode: LINK },
  ],
  "a file below a link": [
    { name: "a", content: ".", mode: LINK },
    { name: "a/b", content: "x" },
  ],
  "a link above a file": [
    { name: "a/b", content: "x" },
    { name: "a", content: ".", mode: LINK },
  ],
  "a file in place of a link": [
    { name: "a", content: "b", mode: LINK },
    { name: "a", content: "x" },
  ],
  "a device": [{ name: "a", mode: 0o020666 }],
  "a pipe": [{ name: "a", mode: 0o010666 }],
  "a socket": [{ name: "a", mode: 0o140666 }],
};
