/**
 * Unpacks a zip into an empty folder that nobody else writes in.
 *
 * The zip is hostile until shown otherwise: each entry passes package-entry.ts, nothing that exists is written to or
 * followed, links come last, and what is written is counted as it is written, whatever the headers claimed.
 */
import { chmodSync, closeSync, constants, fchmodSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { type Entry, fromBufferPromise, getFileNameLowLevel, type ZipFile } from "yauzl";
import { checkLink, type PackageEntry, packageEntry } from "./package-entry.ts";
import { CodeCorrupt, CodeUnsafe } from "./package-errors.ts";

export interface UnpackLimits {
  readonly bytes: number;
  /** Files, links and folders, those included that only names of other entries imply. */
  readonly entries: number;
}

/** Bytes: Lambda's quota "deployment package, unzipped". Entries: ours, several times the largest `node_modules` seen. */
export const UNPACK_LIMITS: UnpackLimits = { bytes: 262_144_000, entries: 100_000 };

const LONGEST_LINK_BYTES = 4096;
/** Up to here an entry is unpacked in one piece without leaving this thread: ten times faster, and within a millisecond. */
const SMALL_BYTES = 256 * 1024;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Set after making, as files' modes are: the process's umask must not decide what a sandbox can read. */
const FOLDER_MODE = 0o755;

type Content = Uint8Array | AsyncIterable<Uint8Array>;

/** Resolves with the bytes written. Throws `CodeCorrupt`, `CodeUnsafe`, or what the file system says. */
export async function unpack(zip: Uint8Array, folder: string, limits: UnpackLimits = UNPACK_LIMITS): Promise<number> {
  const made = new Made(folder, limits);
  const links: Array<{ readonly path: readonly string[]; readonly target: string }> = [];
  const buffer = Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength);
  // Names come raw: the library's own check of them would not say by name what is wrong.
  const archive = await readable(fromBufferPromise(buffer, { decodeStrings: false }));
  const entries = archive.eachEntry();
  for (;;) {
    const { value: header, done } = await readable(entries.next());
    if (done === true) break;
    const entry = packageEntry(nameOf(header), header);
    if (entry.kind === "folder") made.folder(entry.path);
    else if (entry.kind === "file") await made.file(entry, () => contentOf(archive, header, buffer));
    else {
      if (entry.bytes > LONGEST_LINK_BYTES) throw new CodeUnsafe("a link's target is too long");
      const target = (await inOnePiece(archive, header, buffer)).toString("utf8");
      checkLink(target, entry.path.length - 1);
      links.push({ path: entry.path, target });
    }
  }
  for (const { path, target } of links) made.link(path, target);
  return made.bytes;
}

/** What has been made so far, so that nothing is made twice and nothing beyond the limits. */
class Made {
  bytes = 0;
  readonly #root: string;
  readonly #limits: UnpackLimits;
  readonly #kinds = new Map<string, PackageEntry["kind"]>();
  readonly #named = new Set<string>();

  constructor(root: string, limits: UnpackLimits) {
    this.#root = root;
    this.#limits = limits;
  }

  folder(path: readonly string[]): void {
    this.#claimName(path);
    this.#folders(path);
  }

  async file({ path, mode, bytes }: PackageEntry, content: () => Promise<Content>): Promise<void> {
    this.#count(0, bytes);
    const place = this.#place(path, "file");
    const unpacked = await content();
    if (unpacked instanceof Uint8Array) {
      this.bytes += unpacked.length;
      const descriptor = openSync(place, NEW_FILE, mode);
      try {
        fchmodSync(descriptor, mode);
        writeFileSync(descriptor, unpacked);
      } finally {
        closeSync(descriptor);
      }
      return;
    }
    await using file = await open(place, NEW_FILE, mode);
    await file.chmod(mode);
    const chunks = unpacked[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await readable(chunks.next());
      if (done === true) return;
      this.bytes += value.length;
      this.#count(0, 0);
      await file.writeFile(value);
    }
  }

  link(path: readonly string[], target: string): void {
    symlinkSync(target, this.#place(path, "link"));
  }

  /** The name for a new file or link, its folders made. */
  #place(path: readonly string[], kind: PackageEntry["kind"]): string {
    this.#claimName(path);
    this.#folders(path.slice(0, -1));
    const name = path.join("/");
    if (this.#kinds.has(name)) throw new CodeUnsafe(`${JSON.stringify(name)} is a folder and something else`);
    this.#count(1, 0);
    this.#kinds.set(name, kind);
    return join(this.#root, name);
  }

  #folders(path: readonly string[]): void {
    for (let depth = 1; depth <= path.length; depth++) {
      const name = path.slice(0, depth).join("/");
      const kind = this.#kinds.get(name);
      if (kind === "folder") continue;
      if (kind !== undefined) throw new CodeUnsafe(`${JSON.stringify(name)} is a ${kind} and a folder`);
      this.#count(1, 0);
      this.#kinds.set(name, "folder");
      const folder = join(this.#root, name);
      mkdirSync(folder);
      chmodSync(folder, FOLDER_MODE);
    }
  }

  #claimName(path: readonly string[]): void {
    const name = path.join("/");
    if (this.#named.has(name)) throw new CodeUnsafe(`${JSON.stringify(name)} is there twice`);
    this.#named.add(name);
  }

  #count(entries: number, bytes: number): void {
    if (this.bytes + bytes > this.#limits.bytes)
      throw new CodeUnsafe(`unpacked it exceeds ${this.#limits.bytes} bytes`);
    if (this.#kinds.size + entries > this.#limits.entries) {
      throw new CodeUnsafe(`it holds more than ${this.#limits.entries} files and folders`);
    }
  }
}

const nameOf = (header: Entry): string =>
  getFileNameLowLevel(header.generalPurposeBitFlag, header.fileNameRaw, header.extraFields, false);

async function contentOf(archive: ZipFile, header: Entry, zip: Buffer): Promise<Content> {
  if (header.uncompressedSize <= SMALL_BYTES) return inOnePiece(archive, header, zip);
  checkDecodable(header);
  return readable(archive.openReadStreamPromise(header));
}

async function inOnePiece(archive: ZipFile, header: Entry, zip: Buffer): Promise<Buffer> {
  checkDecodable(header);
  const { fileDataStart } = await readable(archive.readLocalFileHeaderPromise(header, { minimal: true }));
  const packed = zip.subarray(fileDataStart, fileDataStart + header.compressedSize);
  const unpacked = header.compressionMethod === 0 ? packed : inflated(packed, header.uncompressedSize);
  if (unpacked.length !== header.uncompressedSize) throw new CodeCorrupt("an entry is shorter or longer than it says");
  return unpacked;
}

function inflated(packed: Buffer, bytes: number): Buffer {
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, bytes) });
  } catch (cause) {
    throw unreadable(cause);
  }
}

function checkDecodable(header: Entry): void {
  if (!header.canDecodeFileData()) throw new CodeCorrupt("it is encrypted, or compressed in a way nobody reads");
}

/** Whatever goes wrong while reading the zip is the zip's fault. */
async function readable<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw unreadable(cause);
  }
}

const unreadable = (cause: unknown): CodeCorrupt =>
  new CodeCorrupt(`it can't be read as a zip: ${cause instanceof Error ? cause.message : cause}`, { cause });
