/**
 * Makes the zip of a folder. The same content gives the same bytes, whenever and wherever it is packed: names are
 * sorted, times are fixed, and of the modes only "executable" counts. So an unchanged function is known by its SHA-256.
 */
import { ZipFile } from "yazl";
import { MAX_ZIPPED_BYTES } from "../../subjects/code-package.ts";
import { checkSize } from "./contents.ts";
import type { FolderContents } from "./folder.ts";

/** The earliest a zip can say. In local time, because that is what its field holds. */
const MTIME = new Date(1980, 0, 1);
const LINK_MODE = 0o120777;

/** `onProgress` hears how many bytes the zip has so far. */
export async function pack(
  contents: FolderContents,
  onProgress: (bytes: number) => void = () => {},
): Promise<Uint8Array> {
  const zip = new ZipFile();
  const common = { mtime: MTIME, forceDosTimestamp: true };
  const links = new Map(contents.links.map(({ name, target }) => [name, target]));
  for (const name of [...contents.files.keys(), ...links.keys()].sort()) {
    const file = contents.files.get(name);
    if (file !== undefined)
      zip.addFile(file.realPath, name, { ...common, mode: file.executable ? 0o100755 : 0o100644 });
    else zip.addBuffer(Buffer.from(links.get(name) ?? ""), name, { ...common, mode: LINK_MODE });
  }
  const failed = new Promise<never>((_, reject) => zip.once("error", reject));
  const packed = collect(zip.outputStream, onProgress);
  zip.end();
  return Promise.race([packed, failed]);
}

async function collect(stream: NodeJS.ReadableStream, onProgress: (bytes: number) => void): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    checkSize(bytes, MAX_ZIPPED_BYTES, "zipped");
    onProgress(bytes);
  }
  return Buffer.concat(chunks);
}
