/** A zip that somebody else packed, read for its names. It is deployed byte for byte as it is. */
import { readFile, stat } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { fromBufferPromise } from "yauzl";
import {
  CodeUnsafe,
  MAX_UNZIPPED_BYTES,
  MAX_ZIPPED_BYTES,
  PackageContents,
  packageEntry,
} from "../../subjects/code-package.ts";
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

const REMEDY = "give a folder, or a zip of one";

async function filesOf(bytes: Buffer, path: string): Promise<PackageFiles> {
  const files = new Map<string, PackageFile>();
  const contents = new PackageContents();
  try {
    const zip = await fromBufferPromise(bytes, { decodeStrings: false });
    for await (const header of zip.eachEntry()) {
      checkSize(contents.bytes + header.uncompressedSize, MAX_UNZIPPED_BYTES, "unzipped");
      const entry = packageEntry(header);
      contents.add(entry);
      if (entry.kind === "folder") continue;
      files.set(entry.name, {
        name: entry.name,
        executable: (entry.mode & 0o100) !== 0,
        bytes: entry.bytes,
        text: async () => textOf(await zip.openReadStreamPromise(header)),
      });
    }
  } catch (cause) {
    if (cause instanceof PackageUnfit) throw cause;
    if (cause instanceof CodeUnsafe) throw new PackageUnfit(`${path}: ${cause.message}`, REMEDY, { cause });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PackageUnfit(`${path} can't be read as a zip: ${why}`, REMEDY, { cause });
  }
  return files;
}
