/** Packages: what is taken, what is refused, and that archives aren't believed what they say of themselves. */

import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { ZipFile } from "yazl";
import { BadPackage, listed, unpacked } from "../../actors/control-plane/package/zip.ts";
import { MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES } from "../../subjects/code-package.ts";
import { handMadeZip } from "../support/hand-made-zip.ts";
import { UNSAFE_PACKAGES } from "../support/unsafe-packages.ts";
import { zipOf } from "../support/zip.ts";

const MIB = 1024 * 1024;

function linkTo(target: string): Promise<Buffer> {
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from(target), "lib/link", { mode: 0o120777 });
  zip.end();
  return buffer(zip.outputStream);
}

describe("the table of contents", () => {
  it("is accepted of a plain package, and tells its size", async () => {
    await expect(listed(await zipOf({ "index.js": "1", "lib/a.js": "2" }))).resolves.toBe(2);
  });

  it("may hold links within the package, not out of it", async () => {
    await expect(listed(await linkTo("../other.js"))).resolves.toBe("../other.js".length);
    await expect(listed(await linkTo("../../secret"))).rejects.toThrow(/"lib\/link" links to "..\/..\/secret"/);
    await expect(listed(await linkTo("/etc/passwd"))).rejects.toThrow(/"lib\/link" links to "\/etc\/passwd"/);
  });

  it.each([
    [
      "what is no zip",
      async () => Buffer.from("hello, world: this is no zip at all"),
      /^Could not unzip uploaded file/,
    ],
    [
      "a zip cut short",
      async () => (await zipOf({ "index.js": "1".repeat(500) })).subarray(0, 100),
      /^Could not unzip/,
    ],
    ["an empty zip", () => zipOf({}), /^Uploaded file must be a non-empty zip$/],
    [
      "more files than a worker unpacks",
      async () => handMadeZip(Array.from({ length: 50_001 }, (_, at) => ({ name: `d${at}/f`, stored: true }))),
      /^Could not unzip.*more than 100000 files and folders/,
    ],
    [
      "what is encrypted",
      async () => handMadeZip([{ name: "a", content: "a", encrypted: true }]),
      /^Could not unzip.*encrypted/,
    ],
    [
      "what is compressed in a way nobody reads",
      async () => handMadeZip([{ name: "a", content: "a", claimedMethod: 99 }]),
      /^Could not unzip.*compressed in a way/,
    ],
    [
      "more than the zipped limit",
      async () => Buffer.alloc(MAX_ZIPPED_BYTES + 1),
      /^Zipped size must be smaller than 52428800 bytes$/,
    ],
  ])("refuses %s", async (_what, zip, message) => {
    await expect(listed(await zip())).rejects.toThrow(BadPackage);
    await expect(listed(await zip())).rejects.toThrow(message);
  });

  it.each(Object.entries(UNSAFE_PACKAGES))("refuses %s, by the name of what is wrong", async (_what, entries) => {
    const refused = await listed(handMadeZip([{ name: "index.js", content: "1" }, ...entries])).catch((why) => why);
    expect(refused).toBeInstanceOf(BadPackage);
    expect(refused.message).toMatch(/^Could not unzip uploaded file\. Please check your file, then try.* \(.+\)$/);
  });

  it("refuses what would be too big when unzipped", async () => {
    const zeros = new Uint8Array(64 * MIB);
    const zip = await zipOf({ a: zeros, b: zeros, c: zeros, d: zeros });
    expect(4 * zeros.length).toBeGreaterThan(MAX_UNZIPPED_BYTES);
    await expect(listed(zip)).rejects.toThrow("Unzipped size must be smaller than 262144000 bytes");
  });
});

describe("the content", () => {
  it("is read to its last byte", async () => {
    await expect(unpacked(await zipOf({ a: "12345", b: "678" }))).resolves.toBe(8);
  });

  it("is refused when it is not what the table says: size", async () => {
    const zip = await zipOf({ a: "1".repeat(10_000) });
    const central = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
    zip.writeUInt32LE(5, central + 24);
    await expect(unpacked(zip)).rejects.toThrow(BadPackage);
  });

  it("is refused when it is not what the table says: checksum", async () => {
    const zip = await zipOf({ a: "1".repeat(10_000) });
    const central = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
    zip.writeUInt32LE(7, central + 16);
    await expect(unpacked(zip)).rejects.toThrow("a: the checksum does not match its content");
  });
});
