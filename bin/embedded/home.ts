/**
 * Mayfly's home: the one folder on this machine that everything it keeps lives in.
 *
 * `MAYFLY_HOME` names it; otherwise it is `mayfly` in the XDG data folder. Removing the folder
 * removes every trace of Mayfly but the `nats` CLI context (see `cli-context.ts`).
 */
import { chmod, mkdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** The layout of a home. All values are absolute paths. */
export interface Home {
  readonly root: string;
  /** Programs that were fetched: a folder per program and version. */
  readonly tools: string;
  /** The embedded server's configuration, credentials and log. */
  readonly nats: string;
  /** JetStream's data: streams, buckets, object stores. The only folder worth a backup. */
  readonly jetstream: string;
  /** Unpacked code packages, keyed by SHA-256; may be deleted whenever nothing runs. */
  readonly code: string;
  /** What functions compile to, per function version; may be deleted whenever nothing runs. */
  readonly bytecode: string;
  /** What sandboxes need on the host while they live: their /tmp, their generated /etc. */
  readonly sandboxes: string;
  /** Process ids, locks, ports files: meaningless after a reboot. */
  readonly run: string;
  readonly logs: string;
}

/** The home can't be used; `remedy` says what the person at the keyboard can do. */
export class HomeUnusable extends Error {
  override readonly name = "HomeUnusable";
  readonly remedy: string;
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
  }
}

/**
 * Where the home is, by the XDG Base Directory Specification: a relative `XDG_DATA_HOME` is
 * invalid there and ignored. `MAYFLY_HOME` may be relative to the working folder. Touches nothing.
 */
export function resolveHome(env: NodeJS.ProcessEnv = process.env): Home {
  return homeAt(env.MAYFLY_HOME ? resolve(env.MAYFLY_HOME) : join(dataFolder(env), "mayfly"));
}

export function homeAt(root: string): Home {
  const nats = join(root, "nats");
  return {
    root,
    tools: join(root, "tools"),
    nats,
    jetstream: join(nats, "jetstream"),
    code: join(root, "code"),
    bytecode: join(root, "bytecode"),
    sandboxes: join(root, "sandboxes"),
    run: join(root, "run"),
    logs: join(root, "logs"),
  };
}

/**
 * Makes the home and its folders, readable by this user alone (0700). A root folder that was there
 * before keeps its mode, because a person chose it, but is refused if others may write in it.
 * @throws HomeUnusable
 */
export async function prepareHome(home: Home): Promise<Home> {
  try {
    await mkdir(home.root, { recursive: true, mode: 0o700 });
    const { mode } = await stat(home.root);
    if ((mode & 0o022) !== 0) {
      throw new HomeUnusable(`${home.root} may be written by other users`, `chmod go-w ${home.root}`);
    }
    const { tools, nats, jetstream, code, bytecode, sandboxes, run, logs } = home;
    for (const folder of [tools, nats, jetstream, code, bytecode, sandboxes, run, logs]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
    }
    return home;
  } catch (cause) {
    if (cause instanceof HomeUnusable) throw cause;
    throw new HomeUnusable(
      `cannot use ${home.root} as Mayfly's home: ${(cause as Error).message}`,
      "set MAYFLY_HOME to a folder this user may write in",
      { cause },
    );
  }
}

function dataFolder(env: NodeJS.ProcessEnv): string {
  const given = env.XDG_DATA_HOME;
  return given && isAbsolute(given) ? given : join(env.HOME || homedir(), ".local", "share");
}
