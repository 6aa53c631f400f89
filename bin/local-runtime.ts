/** The runtimes of this host, for functions that run on it. Only loaded by commands that need it. */

import { knownRuntimes, listRuntimes, resolveRuntime } from "../actors/sandbox/runtimes/catalogue.ts";
import { installRuntime } from "../actors/sandbox/runtimes/install.ts";
import { nodeMajor } from "../actors/sandbox/runtimes/node-interpreter.ts";
import type { Home } from "./embedded/home.ts";
import type { Language } from "./package/detect.ts";

const NODE_RUNTIME = "nodejs24.x";
const CUSTOM_RUNTIME = "provided.al2023";

/** What to take for a language when nobody said: the Node.js that comes with Mayfly, the newest Python here. */
export async function defaultRuntimes(home: Home): Promise<(language: Language) => string> {
  const pythons = (await listRuntimes({ home: home.root })).filter(({ runtime }) => runtime.startsWith("python"));
  const known = knownRuntimes.filter((runtime) => runtime.startsWith("python"));
  const python = pythons.filter(({ version }) => version !== null).at(-1)?.runtime ?? known.at(-1) ?? "";
  return (language) => ({ nodejs: NODE_RUNTIME, provided: CUSTOM_RUNTIME, python })[language];
}

/**
 * Makes sure this host can run it, fetching what can be fetched. Names nobody knows are left for the platform to refuse.
 * Throws `RuntimeNotInstalled` or `RuntimeInstallFailed`.
 */
export async function ensureRuntime(home: Home, runtime: string, tell: (line: string) => void): Promise<void> {
  if (!knownRuntimes.includes(runtime)) return;
  const present = await resolveRuntime(runtime, { home: home.root }).catch(() => undefined);
  if (present !== undefined) return;
  if (nodeMajor(runtime) !== null) tell(`fetching ${runtime}…`);
  await installRuntime(runtime, { home: home.root, onProgress: (line) => tell(`fetching ${runtime}: ${line}`) });
}
