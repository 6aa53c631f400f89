/**
 * What a package in the CODE bucket may hold: the rules by which a control plane takes one in and a worker unpacks it, so
 * that nothing is stored that can't be run. The worker applies them again, because it doesn't trust the store.
 *
 * Nothing of a zip's header is taken on trust. What isn't plainly a file, a folder or a link that stays inside is refused,
 * never repaired: a package that needs repair was made to hurt.
 */
import { type Entry, getFileNameLowLevel } from "yauzl";

/** Lambda's quotas of a deployment package, in bytes. Unzipped: of a function's code and its layers together. */
export const MAX_ZIPPED_BYTES = 52_428_800;
export const MAX_UNZIPPED_BYTES = 262_144_000;

export interface PackageLimits {
  /** Unpacked. */
  readonly bytes: number;
  /** Files, links and folders, those included that only names of other entries imply. */
  readonly entries: number;
}

/** Entries: ours, several times the largest `node_modules` seen. */
export const PACKAGE_LIMITS: PackageLimits = { bytes: MAX_UNZIPPED_BYTES, entries: 100_000 };

/** Unpacking it would write outside its folder, fill the disk, or make something that isn't a file. */
export class CodeUnsafe extends Error {
  override readonly name = "CodeUnsafe";
}

export interface PackageEntry {
  readonly kind: "file" | "folder" | "link";
  /** Without empty parts, `.` and `..`, joined by slashes. Empty only for the root itself. */
  readonly name: string;
  /** Permission bits: never set-id, never writable by others, always readable by all. */
  readonly mode: number;
  /** Unpacked size, as the header claims. */
  readonly bytes: number;
}

const TYPE = 0o170000;
const KINDS: ReadonlyMap<number, PackageEntry["kind"]> = new Map([
  [0o100000, "file"],
  [0o040000, "folder"],
  [0o120000, "link"],
]);
const ALLOWED_MODE = 0o755;
/** Sandboxes run as users of their own, so everybody must be able to read. */
const READABLE = 0o444;
const DEFAULT_FILE_MODE = 0o644;
/** Linux's limits: NAME_MAX, and PATH_MAX less room for a worker's own folder. */
const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 3072;
const MAX_LINK_BYTES = 4096;
/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = "\ufffd";

type Header = Pick<
  Entry,
  "generalPurposeBitFlag" | "fileNameRaw" | "extraFields" | "externalFileAttributes" | "uncompressedSize"
>;

/** What one entry becomes on the disk. Throws `CodeUnsafe`. */
export function packageEntry(header: Header): PackageEntry {
  const said = getFileNameLowLevel(header.generalPurposeBitFlag, header.fileNameRaw, header.extraFields, false);
  // Zips made without Unix modes have zeros here.
  const unixMode = header.externalFileAttributes >>> 16;
  const kind = kindOf(said, unixMode & TYPE);
  const name = plainName(said);
  if (name === "" && kind !== "folder") throw new CodeUnsafe(`${quoted(said)} is no name for a file`);
  const bytes = header.uncompressedSize;
  if (kind === "link" && bytes > MAX_LINK_BYTES) throw new CodeUnsafe(`the target of ${quoted(said)} is too long`);
  const mode = kind === "folder" ? ALLOWED_MODE : ((unixMode || DEFAULT_FILE_MODE) & ALLOWED_MODE) | READABLE;
  return { kind, name, mode, bytes };
}

/**
 * Whether a link of that name stays inside. Only leading `..` count: links are made last and no entry lies below one, so
 * those lead through real folders; a `..` after a name might lead through another link. Throws `CodeUnsafe`.
 */
export function checkLink(name: string, target: string): void {
  const parts = target.split("/");
  const ups = parts.findIndex((part) => part !== "..");
  const leading = ups === -1 ? parts.length : ups;
  const inside = leading < name.split("/").length && !parts.slice(leading).includes("..");
  if (target === "" || target.startsWith("/") || target.includes("\0") || !inside)
    throw new CodeUnsafe(`${quoted(name)} links to ${quoted(target)}, which leaves the package`);
}

/** What a package holds so far, so that nothing is there twice and nothing beyond the limits. */
export class PackageContents {
  bytes = 0;
  readonly #limits: PackageLimits;
  readonly #kinds = new Map<string, PackageEntry["kind"]>();
  readonly #named = new Set<string>();

  constructor(limits: PackageLimits = PACKAGE_LIMITS) {
    this.#limits = limits;
  }

  /** The folders that weren't there before it, the outermost first; itself, when it is one. Throws `CodeUnsafe`. */
  add({ kind, name, bytes }: Omit<PackageEntry, "mode">): readonly string[] {
    if (this.#named.has(name)) throw new CodeUnsafe(`${quoted(name)} is there twice`);
    this.#named.add(name);
    const folders = this.#newFolders(kind === "folder" ? name : parentOf(name));
    for (const folder of folders) this.#hold(folder, "folder");
    if (kind !== "folder") {
      if (this.#kinds.has(name)) throw new CodeUnsafe(`${quoted(name)} is a folder and a ${kind}`);
      this.#hold(name, kind);
    }
    this.bytes += bytes;
    if (this.bytes > this.#limits.bytes) throw new CodeUnsafe(`unpacked it exceeds ${this.#limits.bytes} bytes`);
    return folders;
  }

  /** From the innermost outwards up to one that is known, so that many deep names below one folder are cheap. */
  #newFolders(innermost: string): string[] {
    const folders: string[] = [];
    for (let name = innermost; name !== ""; name = parentOf(name)) {
      const kind = this.#kinds.get(name);
      if (kind === "folder") break;
      if (kind !== undefined) throw new CodeUnsafe(`${quoted(name)} is a ${kind} and a folder`);
      folders.push(name);
    }
    return folders.reverse();
  }

  #hold(name: string, kind: PackageEntry["kind"]): void {
    this.#kinds.set(name, kind);
    if (this.#kinds.size > this.#limits.entries)
      throw new CodeUnsafe(`it holds more than ${this.#limits.entries} files and folders`);
  }
}

function kindOf(name: string, type: number): PackageEntry["kind"] {
  const folderName = name.endsWith("/");
  const kind = type === 0 ? (folderName ? "folder" : "file") : KINDS.get(type);
  if (kind === undefined) throw new CodeUnsafe(`${quoted(name)} is neither file, folder nor link`);
  if (kind === "link" && folderName) throw new CodeUnsafe(`${quoted(name)} is a link with a folder's name`);
  return folderName ? "folder" : kind;
}

/** A name without what means nothing in it. Throws `CodeUnsafe`. */
export function plainName(name: string): string {
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) throw new CodeUnsafe(`${quoted(name)} is an absolute name`);
  if (name.includes("\0")) throw new CodeUnsafe(`${quoted(name)} holds a NUL`);
  if (name.includes(REPLACEMENT)) throw new CodeUnsafe(`${quoted(name)} is no UTF-8`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new CodeUnsafe(`${quoted(name)} leaves the package`);
  const tooLong = parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES);
  if (tooLong || Buffer.byteLength(name) > MAX_PATH_BYTES) throw new CodeUnsafe(`${quoted(name)} is too long a name`);
  return parts.join("/");
}

const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));

const quoted = (name: string): string => JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
