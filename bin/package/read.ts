/** A package as a person names it: a folder, or a zip somebody else packed. */
import { stat } from "node:fs/promises";
import { Misused } from "../failure.ts";
import type { PackageFiles } from "./contents.ts";
import { readFolder } from "./folder.ts";
import { pack } from "./pack.ts";
import { readZip } from "./zip.ts";

export interface ReadPackage {
  readonly files: PackageFiles;
  readonly isFolder: boolean;
  /** `onProgress` hears how many bytes the zip has so far. */
  zip(onProgress: (bytes: number) => void): Promise<Uint8Array>;
}

/** Throws `Misused` when nothing is there, `PackageUnfit` when it can't be packed. */
export async function readPackage(path: string): Promise<ReadPackage> {
  const facts = await stat(path).catch((cause: unknown) => {
    throw new Misused(`${path} can't be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
  });
  if (!facts.isDirectory()) {
    const { bytes, files } = await readZip(path);
    return { files, isFolder: false, zip: async () => bytes };
  }
  const contents = await readFolder(path);
  return { files: contents.files, isFolder: true, zip: (onProgress) => pack(contents, onProgress) };
}
