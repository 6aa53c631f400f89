/** A zip that somebody else packed, read for its names. It is deployed byte for byte as it is. */
import { readFile, stat } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { fromBufferPromise } from "yauzl";
import { MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES } from "../../subjects/code-package.ts";
import { checkSize, type PackageFile, type PackageFiles, PackageUnfit } from "./contents.ts";

export interface ZipContents {
  readonly bytes: Uint8Array;
  readonly files: PackageFiles;
}

export async function readZip(path: string): Promise<ZipContents> {
  checkSize((await stat(path)).size, MAX_ZIPPED_BYTES, "zipped");
  const bytes = await readFile(path);
  return { bytes, files: await filesOf(bytes, path) };
}

async function filesOf(bytes: Buffer, path: string): Promise<PackageFiles> {
  const files = new Map<string, PackageFile>();
  let unzipped = 0;
  try {
    const zip = await fromBufferPromise(bytes);
    for await (const entry of zip.eachEntry()) {
      unzipped += entry.uncompressedSize;
      if (entry.fileName.endsWith("/")) continue;
      files.set(entry.fileName, {
        name: entry.fileName,
        executable: ((entry.externalFileAttributes >>> 16) & 0o100) !== 0,
        bytes: entry.uncompressedSize,
        text: async () => textOf(await zip.openReadStreamPromise(entry)),
      });
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PackageUnfit(`${path} can't be read as a zip: ${why}`, "give a folder, or a zip of one", { cause });
  }
  checkSize(unzipped, MAX_UNZIPPED_BYTES, "unzipped");
  return files;
}
