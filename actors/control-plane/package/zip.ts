/**
 * Looks at a deployment package. `listed` reads its table of contents, and where its links lead, which is quick and done
 * while the caller waits: what holds anything that a worker wouldn't unpack isn't taken in. `unpacked` reads every byte
 * in it, which is what a function is Pending for.
 *
 * Neither trusts the archive: sizes count as they are, not as they are said. Source: Lambda API reference and recorded
 * answers of Lambda.
 */
import { buffer } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { type Entry, fromBufferPromise, type ZipFile } from "yauzl";
import {
  checkLink,
  MAX_UNZIPPED_BYTES,
  MAX_ZIPPED_BYTES,
  PackageContents,
  packageEntry,
} from "../../../subjects/code-package.ts";

/** Why a package won't do, in words for the caller. */
export class BadPackage extends Error {
  override readonly name = "BadPackage";
}

const NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again.";
const TOO_BIG = `Unzipped size must be smaller than ${MAX_UNZIPPED_BYTES} bytes`;

/** Resolves with the number of bytes it says it unpacks to. Throws `BadPackage`. */
export async function listed(zip: Uint8Array): Promise<number> {
  if (zip.length > MAX_ZIPPED_BYTES) throw new BadPackage(`Zipped size must be smaller than ${MAX_ZIPPED_BYTES} bytes`);
  const contents = new PackageContents();
  let entries = 0;
  await eachEntry(zip, async (header, archive) => {
    entries += 1;
    if (contents.bytes + header.uncompressedSize > MAX_UNZIPPED_BYTES) throw new BadPackage(TOO_BIG);
    const entry = packageEntry(header);
    contents.add(entry);
    if (!header.canDecodeFileData())
      throw new Error(`${JSON.stringify(entry.name)} is encrypted, or compressed in a way nobody reads`);
    if (entry.kind === "link")
      checkLink(entry.name, (await buffer(await archive.openReadStreamPromise(header))).toString());
  });
  if (entries === 0) throw new BadPackage("Uploaded file must be a non-empty zip");
  return contents.bytes;
}

/** Resolves with the number of bytes unpacked. Throws `BadPackage`. */
export async function unpacked(zip: Uint8Array): Promise<number> {
  let bytes = 0;
  await eachEntry(zip, async (header, archive) => {
    let checksum = 0;
    for await (const chunk of await archive.openReadStreamPromise(header)) {
      const piece = chunk as Buffer;
      bytes += piece.length;
      if (bytes > MAX_UNZIPPED_BYTES) throw new BadPackage(TOO_BIG);
      checksum = crc32(piece, checksum);
    }
    if (checksum !== header.crc32)
      throw new BadPackage(`${packageEntry(header).name}: the checksum does not match its content`);
  });
  return bytes;
}

/** Both, for what isn't looked at again before it is used. Resolves as `unpacked`. Throws `BadPackage`. */
export async function lookedThrough(zip: Uint8Array): Promise<number> {
  await listed(zip);
  return unpacked(zip);
}

/** One entry after the other; whatever goes wrong in the archive comes out as `BadPackage`. */
async function eachEntry(zip: Uint8Array, look: (entry: Entry, archive: ZipFile) => Promise<void>): Promise<void> {
  try {
    const bytes = Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength);
    // Names are read by the rules of packages, which say by name what is wrong.
    const archive = await fromBufferPromise(bytes, {
      lazyEntries: true,
      validateEntrySizes: true,
      decodeStrings: false,
    });
    for await (const entry of archive.eachEntry()) await look(entry, archive);
  } catch (error) {
    if (error instanceof BadPackage) throw error;
    throw new BadPackage(`${NO_ZIP} (${error instanceof Error ? error.message : String(error)})`);
  }
}
