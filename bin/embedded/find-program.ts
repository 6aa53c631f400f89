/**
 * Finding a program that Mayfly needs but doesn't contain: named by the person, on PATH, fetched
 * earlier, or fetched now in one of several ways. Every step is told, and so is the choice.
 */
import { compareVersions } from "../../config/nats/features.ts";
import { onPath, programVersion } from "./program.ts";
import { newestOnShelf, onWorkbench, shelve } from "./tool-shelf.ts";

/** A way of fetching the program from elsewhere. */
export interface Way {
  /** As told to people: "the official release". */
  readonly name: string;
  /**
   * Fetches the program into the empty folder `bench` and resolves to its path there. It is
   * authenticated by then. @throws Error saying why it can't be had in this way
   */
  fetch(bench: string, tell: (line: string) => void): Promise<string>;
}

export interface Search {
  readonly name: string;
  /** The environment variable that names the program's path and overrules all else. */
  readonly variable: string;
  /** Older ones are passed over. */
  readonly oldest: string;
  readonly env: NodeJS.ProcessEnv;
  /** The home's folder for fetched programs. */
  readonly tools: string;
  /** Tried in this order; empty to stay off the network. */
  readonly ways: readonly Way[];
  /** How a person gets the program by hand; told when all else failed. */
  readonly remedy: string;
  readonly onProgress?: (line: string) => void;
}

export interface FoundProgram {
  /** Absolute path of an executable that was seen to run. */
  readonly path: string;
  readonly version: string;
  /** In words, for people: "on PATH", "Debian's package (forky)". */
  readonly how: string;
}

/** Nothing worked. `tried` says why, way by way; `remedy` what a person can do. */
export class ProgramMissing extends Error {
  override readonly name = "ProgramMissing";
  readonly program: string;
  readonly tried: readonly string[];
  readonly remedy: string;
  constructor(program: string, tried: readonly string[], remedy: string) {
    super([`${program} can't be had:`, ...tried.map((line) => `  - ${line}`), remedy].join("\n"));
    this.program = program;
    this.tried = tried;
    this.remedy = remedy;
  }
}

/** @throws ProgramMissing, also when the variable names a program that isn't usable: a wish isn't passed over */
export async function findProgram(search: Search): Promise<FoundProgram> {
  const { name, variable, env, tools, remedy } = search;
  const tried: string[] = [];
  const tell = (line: string) => search.onProgress?.(`${name}: ${line}`);
  const found = ({ path, version }: { path: string; version: string }, how: string): FoundProgram => {
    tell(`using version ${version}, ${how}: ${path}`);
    return { path, version, how };
  };

  const wished = env[variable];
  if (wished) {
    const look = await usable(wished, search.oldest);
    if ("version" in look) return found({ path: wished, version: look.version }, `named by ${variable}`);
    throw new ProgramMissing(name, [`${variable}=${wished}: ${look.why}`], `Correct or unset ${variable}.`);
  }

  const present = await onPath(name, env);
  if (present) {
    const look = await usable(present, search.oldest);
    if ("version" in look) return found({ path: present, version: look.version }, "found on PATH");
    tried.push(`${present}: ${look.why}`);
    tell(`${present} is passed over: ${look.why}`);
  } else {
    tried.push("it isn't on PATH");
  }

  const shelved = await newestOnShelf(tools, name);
  if (shelved && compareVersions(shelved.version, search.oldest) >= 0) return found(shelved, "fetched earlier");

  for (const way of search.ways) {
    tell(`fetching it: ${way.name}`);
    try {
      const got = await onWorkbench(tools, async (bench) => {
        const program = await way.fetch(bench, tell);
        const look = await usable(program, search.oldest);
        if (!("version" in look)) throw new Error(look.why);
        return shelve(tools, name, program);
      });
      return found(got, way.name);
    } catch (error) {
      const why = gist(error);
      tried.push(`${way.name}: ${why}`);
      tell(`not by ${way.name}: ${why}`);
    }
  }
  throw new ProgramMissing(name, tried, remedy);
}

async function usable(path: string, oldest: string): Promise<{ version: string } | { why: string }> {
  try {
    const version = await programVersion(path);
    return compareVersions(version, oldest) >= 0 ? { version } : { why: `version ${version} is older than ${oldest}` };
  } catch (error) {
    return { why: `it doesn't run (${gist(error)})` };
  }
}

/** The line that says most: a failed program's own last words, else the message with its cause. */
function gist(error: unknown): string {
  const { message, cause, stderr } = error as Error & { readonly stderr?: unknown };
  const words = typeof stderr === "string" ? stderr.trim().split("\n").at(-1) : undefined;
  const line = words || (message.split("\n")[0] ?? "");
  return cause instanceof Error && cause.message ? `${line}: ${cause.message.split("\n")[0]}` : line;
}
