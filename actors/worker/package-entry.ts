/**
 * What one entry of a zip may become on the disk: a pure reading of its header, and the rules for names and links.
 *
 * Nothing of a header is taken on trust. What isn't plainly a file, a folder or a link that stays inside is refused,
 * never repaired: a package that needs repair was made to hurt.
 */
import type { Entry } from "yauzl";
import { CodeUnsafe } from "./package-errors.ts";

export interface PackageEntry {
  readonly kind: "file" | "folder" | "link";
  /** Without empty parts, `.` and `..`. Empty only for the root itself. */
  readonly path: readonly string[];
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
/** Linux's limits: NAME_MAX, and PATH_MAX less room for the cache's own folder. */
const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 3072;

/** `name` is the decoded file name. Throws `CodeUnsafe`. */
export function packageEntry(
  name: string,
  header: Pick<Entry, "externalFileAttributes" | "uncompressedSize">,
): PackageEntry {
  // Zips made without Unix modes have zeros here.
  const unixMode = header.externalFileAttributes >>> 16;
  const kind = kindOf(name, unixMode & TYPE);
  const path = pathOf(name);
  if (path.length === 0 && kind !== "folder") throw new CodeUnsafe(`${quoted(name)} is no name for a file`);
  const mode = kind === "folder" ? ALLOWED_MODE : ((unixMode || DEFAULT_FILE_MODE) & ALLOWED_MODE) | READABLE;
  return { kind, path, mode, bytes: header.uncompressedSize };
}

/**
 * Whether a link in a folder `depth` levels below the root stays inside. Only leading `..` count: links are made last
 * and no entry lies below one, so those lead through real folders; a `..` after a name might lead through another link.
 */
export function checkLink(target: string, depth: number): void {
  const parts = target.split("/");
  const ups = parts.findIndex((part) => part !== "..");
  const leading = ups === -1 ? parts.length : ups;
  const inside = leading <= depth && !parts.slice(leading).includes("..");
  if (target === "" || target.startsWith("/") || target.includes("\0") || !inside) {
    throw new CodeUnsafe(`a link to ${quoted(target)} leaves the package`);
  }
}

function kindOf(name: string, type: number): PackageEntry["kind"] {
  const folderName = name.endsWith("/");
  const kind = type === 0 ? (folderName ? "folder" : "file") : KINDS.get(type);
  if (kind === undefined) throw new CodeUnsafe(`${quoted(name)} is neither file, folder nor link`);
  if (kind === "link" && folderName) throw new CodeUnsafe(`${quoted(name)} is a link with a folder's name`);
  return folderName ? "folder" : kind;
}

function pathOf(name: string): string[] {
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) throw new CodeUnsafe(`${quoted(name)} is an absolute name`);
  if (name.includes("\0")) throw new CodeUnsafe(`${quoted(name)} holds a NUL`);
  const path = name.split("/").filter((part) => part !== "" && part !== ".");
  if (path.includes("..")) throw new CodeUnsafe(`${quoted(name)} leaves the package`);
  const tooLong = path.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES);
  if (tooLong || Buffer.byteLength(name) > MAX_PATH_BYTES) throw new CodeUnsafe(`${quoted(name)} is too long a name`);
  return path;
}

const quoted = (name: string): string => JSON.stringify(name.slice(0, 120));
