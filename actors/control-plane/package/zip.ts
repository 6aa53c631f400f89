/**
 * Looks at a deployment package. `listed` reads its table of contents, which is quick and done while the caller waits;
 * `unpacked` reads every byte in it, which is what a function is Pending for.
 *
 * Neither trusts the archive: names may not leave the folder they are unpacked into, links may not point out of it, and
 * sizes count as they are, not as they are said. Source: Lambda API reference and recorded answers of Lambda.
 */
import { posix } from "node:path";
import { crc32 } from "node:zlib";
import { type Entry, fromBufferPromise, type ZipFile } from "yauzl";
import { MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES } from "./sizes.ts";

const MODE_SHIFT = 16;
const FILE_TYPE = 0o170000;
const SYMBOLIC_LINK = 0o120000;

/** Why a package won't do, in words for the caller. */
export class BadPackage extends Error {
  override readonly name = "BadPackage";
}

const NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again.";
const TOO_BIG = `Unzipped size must be smaller than ${MAX_UNZIPPED_BYTES} bytes`;

/** Resolves with the number of bytes it says it unpacks to. Throws `BadPackage`. */
export async function listed(zip: Uint8Array): Promise<number> {
  if (zip.length > MAX_ZIPPED_BYTES) throw new BadPackage(`Zipped size must be smaller than ${MAX_ZIPPED_BYTES} bytes`);
  let entries = 0;
  let bytes = 0;
  await eachEntry(zip, async (entry) => {
    entries += 1;
    bytes += entry.uncompressedSize;
    if (bytes > MAX_UNZIPPED_BYTES) throw new BadPackage(TOO_BIG);
    if (!entry.canDecodeFileData()) throw new BadPackage(`${NO_ZIP} (${entry.fileName} can't be decoded)`);
  });
  if (entries === 0) throw new BadPackage("Uploaded file must be a non-empty zip");
  return bytes;
}

/** Resolves with the number of bytes unpacked. Throws `BadPackage`. */
export async function unpacked(zip: Uint8Array): Promise<number> {
  let bytes = 0;
  await eachEntry(zip, async (entry, archive) => {
    let checksum = 0;
    let link = "";
    const isLink = ((entry.externalFileAttributes >>> MODE_SHIFT) & FILE_TYPE) === SYMBOLIC_LINK;
    for await (const chunk of await archive.openReadStreamPromise(entry)) {
      const piece = chunk as Buffer;
      bytes += piece.length;
      if (bytes > MAX_UNZIPPED_BYTES) throw new BadPackage(TOO_BIG);
      checksum = crc32(piece, checksum);
      if (isLink) link += piece.toString();
    }
    if (checksum !== entry.crc32) throw new BadPackage(`${entry.fileName}: the checksum does not match its content`);
    if (isLink && escapes(entry.fileName, link)) throw new BadPackage(`${entry.fileName} links out of the package`);
  });
  return bytes;
}

/** Whether a link at `name` points out of the folder. */
const escapes = (name: string, target: string): boolean =>
  posix.isAbsolute(target) || posix.normalize(posix.join(posix.dirname(name), target)).startsWith("..");

/** Both, for what isn't looked at again before it is used. Resolves as `unpacked`. Throws `BadPackage`. */
export async function lookedThrough(zip: Uint8Array): Promise<number> {
  await listed(zip);
  return unpacked(zip);
}

/** One entry after the other; whatever goes wrong in the archive comes out as `BadPackage`. */
async function eachEntry(zip: Uint8Array, look: (entry: Entry, archive: ZipFile) => Promise<void>): Promise<void> {
  try {
    const bytes = Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength);
    const options = { lazyEntries: true, validateEntrySizes: true, strictFileNames: true };
    const archive = await fromBufferPromise(bytes, options);
    for await (const entry of archive.eachEntry()) await look(entry, archive);
  } catch (error) {
    if (error instanceof BadPackage) throw error;
    throw new BadPackage(`${NO_ZIP} (${error instanceof Error ? error.message : String(error)})`);
  }
}
