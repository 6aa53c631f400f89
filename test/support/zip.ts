/** Deployment packages for tests, made by a zip library that isn't the one that reads them. */
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";

/** A zip of files by name; scripts (`#!`) may be executed. */
export function zipOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    zip.addBuffer(bytes, name, { mode: bytes.toString("latin1", 0, 2) === "#!" ? 0o100755 : 0o100644 });
  }
  zip.end();
  return buffer(zip.outputStream);
}

export const HELLO_JS = "exports.handler = async (event) => ({ hello: event.name });\n";
