/** Finds programs where a person's shell would, and where administrators' lie. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** The absolute path of a program: `given`, or the first of that name on PATH. Undefined when there is none. */
export async function findProgram(name: string, given?: string): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  for (const path of given ? [given] : folders.filter(Boolean).map((folder) => join(folder, name))) {
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
