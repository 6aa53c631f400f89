/**
 * The `nats` CLI's context named `mayfly`, so that `nats --context mayfly …` works without a login.
 *
 * Format and place: NATS ADR-21 and the CLI itself, `nats/context/<name>.json` in the XDG
 * configuration folder, the selected one's name in `nats/context.txt`.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Credential } from "./credentials.ts";
import { writePrivately } from "./private-file.ts";

export const contextName = "mayfly";

/** The description by which we recognise a context as ours. */
const mark = "Mayfly's embedded server (this file is Mayfly's: changes are lost)";

export interface CliContext {
  readonly file: string;
  /** False when a context of this name belongs to somebody else: it was left as it was. */
  readonly written: boolean;
  /** Whether a bare `nats …` uses it now. */
  readonly selected: boolean;
}

/**
 * Writes the context, mode 0600, and selects it if the person has selected none. Never changes a
 * context that isn't ours, nor a selection.
 */
export async function writeCliContext(
  server: { readonly url: string; readonly user: Credential },
  env: NodeJS.ProcessEnv = process.env,
): Promise<CliContext> {
  const { folder, file, selection } = places(env);
  const present = await read(file);
  if (present !== undefined && !isOurs(present)) {
    return { file, written: false, selected: (await selectedIn(selection)) === contextName };
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { user, password } = server.user;
  await writePrivately(file, `${JSON.stringify({ description: mark, url: server.url, user, password }, null, 2)}\n`);
  if (!(await selectedIn(selection))) await writePrivately(selection, contextName);
  return { file, written: true, selected: (await selectedIn(selection)) === contextName };
}

/** Removes our context and its selection. @returns whether there was one of ours */
export async function removeCliContext(env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const { file, selection } = places(env);
  const present = await read(file);
  if (present === undefined || !isOurs(present)) return false;
  await rm(file, { force: true });
  if ((await selectedIn(selection)) === contextName) await rm(selection, { force: true });
  return true;
}

function places(env: NodeJS.ProcessEnv): { folder: string; file: string; selection: string } {
  const nats = join(env.XDG_CONFIG_HOME || join(loginFolder(env), ".config"), "nats");
  const folder = join(nats, "context");
  return { folder, file: join(folder, `${contextName}.json`), selection: join(nats, "context.txt") };
}

/**
 * Where the CLI looks is where we write: it takes XDG_CONFIG_HOME as it is, also a relative one, and
 * otherwise the home that the user database names, not `$HOME` (seen in its version 0.4).
 */
function loginFolder(env: NodeJS.ProcessEnv): string {
  try {
    return userInfo().homedir;
  } catch {
    return env.HOME ?? ".";
  }
}

async function selectedIn(selection: string): Promise<string | undefined> {
  return (await read(selection))?.trim() || undefined;
}

function isOurs(text: string): boolean {
  try {
    return (JSON.parse(text) as { description?: unknown }).description === mark;
  } catch {
    return false;
  }
}

/** The file's text; undefined when there is none. Any other failure is the caller's to hear. */
async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
