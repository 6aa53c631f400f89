/**
 * When one of our own runtimes, which speak to the worker directly, is started by the host instead: where the function
 * has extensions, or asks for what only a fresh process with its environment can have. Everything else costs nothing:
 * whose code turns to Lambda's APIs itself is noticed by doing so, see `hostWanted` in frames.ts.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "../drivers/driver.ts";

const LAYERS = "/opt";
const EXECUTABLE = 0o111;
/** As in host/programs.cjs. */
const SWITCHES_OFF = "disable-extensions-jwigqn8j";

/** Whether the layers among these mounts bring programs that are to run beside the runtime. */
export async function bringsExtensions(mounts: readonly Mount[]): Promise<boolean> {
  const brought = await Promise.all(
    mounts.flatMap(({ from, to }) => {
      if (to === LAYERS) return [hasExtensions(from)];
      return to === `${LAYERS}/extensions` ? [hasPrograms(from)] : [];
    }),
  );
  return brought.includes(true);
}

/** A wrapper script starts the runtime, and Node.js reads most of its options at its start only. */
export const asksForFreshProcess = (env: Readonly<Record<string, string>>): boolean =>
  isWrapped(env) || !["", "--enable-source-maps"].includes((env.NODE_OPTIONS ?? "").trim());

export const isWrapped = (env: Readonly<Record<string, string>>): boolean => Boolean(env.AWS_LAMBDA_EXEC_WRAPPER);

async function hasExtensions(layers: string): Promise<boolean> {
  const entries = await readdir(layers, { withFileTypes: true });
  if (entries.some(({ name }) => name === SWITCHES_OFF)) return false;
  const folder = entries.find((entry) => entry.name === "extensions" && entry.isDirectory());
  return folder !== undefined && hasPrograms(join(layers, folder.name));
}

/** A link may be one too: where it leads is known inside only. */
async function hasPrograms(folder: string): Promise<boolean> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) return true;
    if (entry.isFile() && ((await stat(join(folder, entry.name))).mode & EXECUTABLE) !== 0) return true;
  }
  return false;
}
