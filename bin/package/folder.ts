/**
 * A folder of code, read for packing. Links that stay inside are kept as links, as package managers make them; what
 * others lead to is taken in, because on a worker they would lead nowhere. What no worker would unpack is refused by name.
 */
import type { Stats } from "node:fs";
import { readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { MAX_UNZIPPED_BYTES, PackageContents, plainName } from "../../subjects/code-package.ts";
import { byTheRules, checkSize, LEAVE_OUT, type PackageFile, PackageUnfit } from "./contents.ts";
import { ignoring } from "./ignore.ts";

export interface FolderFile extends PackageFile {
  /** Where the content is on this machine. */
  readonly realPath: string;
}

export interface FolderLink {
  readonly name: string;
  /** Relative to the link's own folder; `..` only at its beginning. */
  readonly target: string;
}

export interface FolderContents {
  readonly files: ReadonlyMap<string, FolderFile>;
  readonly links: readonly FolderLink[];
}

export async function readFolder(path: string): Promise<FolderContents> {
  const root = await realpath(path);
  const isIgnored = ignoring(await readFile(join(root, ".mayflyignore"), "utf8").catch(() => ""));
  const files = new Map<string, FolderFile>();
  const links: FolderLink[] = [];
  const contents = new PackageContents();

  /** `within` are the real folders on the way here; `own` is false once that way led through a link. */
  async function walk(folder: string, prefix: string, within: readonly string[], own: boolean): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const name = prefix + entry.name;
      const place = join(folder, entry.name);
      if (isIgnored(name, entry.isDirectory())) continue;
      checkName(name);
      const isLink = entry.isSymbolicLink();
      const target = isLink && own ? await insideTarget(place, root) : undefined;
      if (target !== undefined) {
        byTheRules(() => contents.add({ kind: "link", name, bytes: Buffer.byteLength(target) }));
        links.push({ name, target });
      } else await take(place, name, within, own && !isLink);
    }
  }

  async function take(place: string, name: string, within: readonly string[], own: boolean): Promise<void> {
    const facts = await stat(place).catch((cause: unknown) => {
      throw new PackageUnfit(`${name} is a link that leads nowhere`, LEAVE_OUT, { cause });
    });
    if (facts.isDirectory()) {
      const real = await realpath(place);
      if (isIgnored(name, true)) return;
      if (within.includes(real))
        throw new PackageUnfit(`${name} leads back to a folder it lies in`, "remove that link");
      await walk(place, `${name}/`, [...within, real], own);
    } else if (facts.isFile()) {
      checkSize(contents.bytes + facts.size, MAX_UNZIPPED_BYTES, "unzipped");
      byTheRules(() => contents.add({ kind: "file", name, bytes: facts.size }));
      const executable = (facts.mode & 0o100) !== 0;
      files.set(name, { name, realPath: place, executable, bytes: facts.size, text: () => readFile(place, "utf8") });
    } else throw new PackageUnfit(`${JSON.stringify(name)} is a ${kindOf(facts)}`, LEAVE_OUT);
  }

  await walk(root, "", [root], true);
  return { files, links };
}

/** Throws `PackageUnfit` where a worker wouldn't find it under this name. */
function checkName(name: string): void {
  if (name.includes("\\")) {
    const why = "holds a backslash, which a zip takes for a slash";
    throw new PackageUnfit(`${JSON.stringify(name)} ${why}`, LEAVE_OUT);
  }
  byTheRules(() => plainName(name));
}

const kindOf = (facts: Stats): string => (facts.isFIFO() ? "pipe" : facts.isSocket() ? "socket" : "device");

/** The link's target in the plainest words, when both it and what it leads to in the end stay in the folder. */
async function insideTarget(link: string, root: string): Promise<string | undefined> {
  const aim = resolve(dirname(link), await readlink(link));
  const real = await realpath(link).catch(() => "");
  const inside = real.startsWith(root + sep) && aim.startsWith(root + sep);
  return inside ? relative(dirname(link), aim) || "." : undefined;
}
