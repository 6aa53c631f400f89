/**
 * Unpacks a zip into an empty folder that nobody else writes in.
 *
 * The zip is hostile until shown otherwise: each entry passes the rules of packages, nothing that exists is written to or
 * followed, links come last, and no entry gets more bytes than its header claimed and the rules allowed.
 */
import { chmodSync, closeSync, constants, fchmodSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { type Entry, fromBufferPromise, type ZipFile } from "yauzl";
import {
  checkLink,
  PACKAGE_LIMITS,
  PackageContents,
  type PackageEntry,
  type PackageLimits,
  packageEntry,
} from "../../subjects/code-package.ts";
import { CodeCorrupt } from "./package-errors.ts";

/** Up to here an entry is unpacked in one piece without leaving this thread: ten times faster, and within a millisecond. */
const SMALL_BYTES = 256 * 1024;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Set after making, as files' modes are: the process's umask must not decide what a sandbox can read. */
const FOLDER_MODE = 0o755;

type Content = Uint8Array | AsyncIterable<Uint8Array>;

/** Throws `CodeCorrupt`, `CodeUnsafe`, or what the file system says. */
export async function unpack(zip: Uint8Array, root: string, limits: PackageLimits = PACKAGE_LIMITS): Promise<void> {
  const contents = new PackageContents(limits);
  const links: Array<{ readonly name: string; readonly target: string }> = [];
  const buffer = Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength);
  // Names come raw: the library's own check of them would not say by name what is wrong.
  const archive = await readable(fromBufferPromise(buffer, { decodeStrings: false }));
  const entries = archive.eachEntry();
  for (;;) {
    const { value: header, done } = await readable(entries.next());
    if (done === true) break;
    const entry = packageEntry(header);
    for (const folder of contents.add(entry)) makeFolder(join(root, folder));
    if (entry.kind === "file") await writeNew(join(root, entry.name), entry, await contentOf(archive, header, buffer));
    if (entry.kind !== "link") continue;
    const target = (await inOnePiece(archive, header, buffer)).toString("utf8");
    checkLink(entry.name, target);
    links.push({ name: entry.name, target });
  }
  for (const { name, target } of links) symlinkSync(target, join(root, name));
}

function makeFolder(folder: string): void {
  mkdirSync(folder);
  chmodSync(folder, FOLDER_MODE);
}

async function writeNew(place: string, { mode, bytes }: PackageEntry, content: Content): Promise<void> {
  if (content instanceof Uint8Array) {
    const descriptor = openSync(place, NEW_FILE, mode);
    try {
      fchmodSync(descriptor, mode);
      writeFileSync(descriptor, content);
    } finally {
      closeSync(descriptor);
    }
    return;
  }
  await using file = await open(place, NEW_FILE, mode);
  await file.chmod(mode);
  const chunks = content[Symbol.asyncIterator]();
  let left = bytes;
  for (;;) {
    const { value, done } = await readable(chunks.next());
    if (done === true) return;
    left -= value.length;
    if (left < 0) throw new CodeCorrupt(LYING);
    await file.writeFile(value);
  }
}

const LYING = "an entry is shorter or longer than it says";

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
  if (unpacked.length !== header.uncompressedSize) throw new CodeCorrupt(LYING);
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
