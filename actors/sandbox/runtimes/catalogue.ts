/**
 * Which runtimes this host can offer, and what a sandbox needs of the host to boot one.
 *
 * Inside the sandbox the interpreter is `/var/lang/bin/…` (a Python of the system: where the system has it), our part of
 * the runtime lies at `/var/runtime`, the function at `/var/task` and its layers at `/opt`. The system's own `/usr` is
 * expected there too. A runtime that was added is a folder of its own, see package.ts.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Architecture } from "../../../subjects/function.ts";
import { LIBRARY_PATH } from "./environment.ts";
import {
  findNode,
  hostArch,
  type NodeInterpreter,
  nodeMajor,
  nodeRuntimes,
  type RuntimeArch,
} from "./node-interpreter.ts";
import { MANIFEST, readRuntimePackage } from "./package.ts";
import { COMPILED_SCRIPT, compiled } from "./python-compiled.ts";
import { findPython } from "./python-interpreter.ts";

export interface RuntimeOptions {
  /** Mayfly's folder on this host; installed runtimes lie in its `runtimes/`. */
  readonly home: string;
  /** Where our part of a runtime is kept compiled; without it, each start compiles it. */
  readonly compiled?: string;
  /** Default: the host's. */
  readonly arch?: RuntimeArch;
  /** The sandbox's memory; with it, V8's heap is sized to fit. */
  readonly memoryMiB?: number;
  /** One of our own runtimes is started by the host, by way of a wrapper script or not (hosting.ts). */
  readonly host?: { readonly isWrapped: boolean };
}

export interface ResolvedRuntime {
  /** Argv inside the sandbox. Its first word exists there once `mounts` are bound. */
  readonly command: readonly string[];
  /** What the host starts, where `command` is the host and the runtime is one of ours. */
  readonly client?: readonly string[];
  /** Read-only binds, host to sandbox. */
  readonly mounts: readonly { readonly from: string; readonly to: string }[];
  /** The host folder that is bound at `/var/runtime`, or holds what is. */
  readonly runtimeDir: string;
  /** Memory our own part takes beside the function's processes; to be added to the sandbox's limit. */
  readonly overheadMiB: number;
  /** The interpreter's version, such as `24.21.0`. */
  readonly version: string;
}

/** This host can't boot that runtime; `remedy` says in one sentence what would change it. */
export class RuntimeNotInstalled extends Error {
  override readonly name = "RuntimeNotInstalled";
  readonly runtime: string;
  readonly remedy: string;

  constructor(runtime: string, remedy: string) {
    super(`The runtime ${runtime} is not installed. ${remedy}`);
    this.runtime = runtime;
    this.remedy = remedy;
  }
}

/** A function's code is for other processors than this host's. */
export class WrongArchitecture extends Error {
  override readonly name = "WrongArchitecture";

  constructor(wanted: Architecture) {
    super(`Code for ${wanted} can't run on this host, which is ${hostArchitecture}. It needs a worker on ${wanted}.`);
  }
}

const pythonRuntimes = ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"] as const;
const customRuntimes = ["provided.al2023", "provided.al2"] as const;
export const knownRuntimes: readonly string[] = [...nodeRuntimes, ...pythonRuntimes, ...customRuntimes];
/** Whether the name is Mayfly's, now or of a version to come, so that nobody can add one under it. */
export const isKnown = (runtime: string): boolean => /^(nodejs|python|provided)/.test(runtime);

/** The Node.js that comes with Mayfly, and runs the custom-runtime host. */
const pinnedNode = "nodejs24.x";

/** In Lambda's words. */
export const hostArchitecture: Architecture = hostArch === "arm64" ? "arm64" : "x86_64";
const here = import.meta.dirname;

/**
 * What to mount and start for a runtime. Throws `RuntimeNotInstalled`, also for a name nobody knows, and
 * `RuntimePackageUnfit` for one that was added and is broken.
 */
export async function resolveRuntime(runtime: string, options: RuntimeOptions): Promise<ResolvedRuntime> {
  const found = await find(runtime, options);
  if (!found) throw new RuntimeNotInstalled(runtime, await remedyFor(runtime, options));
  return found;
}

/** A runtime and its version as Lambda's logs tell them: `nodejs:24.1.0`. That of a custom one is the function's own affair. */
export function runtimeVersion(runtime: string, { version }: Pick<ResolvedRuntime, "version">): string {
  if (customRuntimes.some((known) => known === runtime)) return runtime.replace(".", ":");
  return `${runtime.replace(/\d.*$/, "") || runtime}:${version}`;
}

/** Every runtime Mayfly knows and those that were added, and whether this host can boot it. */
export async function listRuntimes(
  options: RuntimeOptions,
): Promise<readonly { runtime: string; version: string | null; remedy: string | null }[]> {
  return Promise.all(
    [...knownRuntimes, ...(await addedRuntimes(options.home))].map(async (runtime) => {
      try {
        const version = (await find(runtime, options))?.version ?? null;
        return { runtime, version, remedy: version === null ? await remedyFor(runtime, options) : null };
      } catch (error) {
        return { runtime, version: null, remedy: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
}

/** Names of the folders in the home that were added as runtimes, whether or not they are any good. */
async function addedRuntimes(home: string): Promise<string[]> {
  const names = await readdir(join(home, "runtimes")).catch((): string[] => []);
  const added = await Promise.all(
    names.filter((name) => !name.startsWith(".")).map(async (name) => ((await isAdded(home, name)) ? [name] : [])),
  );
  return added.flat().sort();
}

const isAdded = (home: string, runtime: string): Promise<boolean> =>
  stat(join(installedFolder(home, runtime), MANIFEST)).then(
    (facts) => facts.isFile() && !knownRuntimes.includes(runtime),
    () => false,
  );

/** The folder under which `installRuntime` puts a runtime. */
export function installedFolder(home: string, runtime: string): string {
  return join(home, "runtimes", runtime);
}

async function find(runtime: string, options: RuntimeOptions): Promise<ResolvedRuntime | null> {
  if (nodeMajor(runtime) !== null) return findNodeRuntime(runtime, options);
  if (pythonRuntimes.some((known) => known === runtime)) return findPythonRuntime(runtime, options);
  if (customRuntimes.some((known) => known === runtime)) return findCustom(options);
  return (await isAdded(options.home, runtime)) ? findAdded(runtime, options) : null;
}

async function remedyFor(runtime: string, { home }: RuntimeOptions): Promise<string> {
  if (nodeMajor(runtime) !== null) return `Install it with: mayfly runtime install ${runtime}`;
  if (pythonRuntimes.some((known) => known === runtime)) {
    return `Install it with the system's package manager, so that it is on the PATH, or give its folder: mayfly runtime install ${runtime} --prefix <folder>`;
  }
  if (customRuntimes.some((known) => known === runtime)) return "Reinstall Mayfly: its own Node.js is missing.";
  if (await isAdded(home, runtime)) return `It is not for ${hostArchitecture}.`;
  return "Mayfly doesn't know it: add it with mayfly runtime install <folder>, or use provided.al2023 with a bootstrap of the function's own.";
}

async function findNodeRuntime(runtime: string, options: RuntimeOptions): Promise<ResolvedRuntime | null> {
  const node = await nodeFor(runtime, options);
  if (!node) return null;
  const runtimeDir = join(here, "nodejs");
  const command = ["/var/lang/bin/node", ...heapFlags(options.memoryMiB), "/var/runtime/bootstrap.cjs"];
  const direct = {
    command,
    mounts: [
      { from: node.path, to: "/var/lang/bin/node" },
      { from: runtimeDir, to: "/var/runtime" },
    ],
    runtimeDir,
    overheadMiB: 0,
    version: node.version,
  };
  return options.host ? behindHost(direct, command, options) : direct;
}

const nodeFor = (runtime: string, { home, arch = hostArch }: RuntimeOptions): Promise<NodeInterpreter | null> =>
  findNode(runtime, arch, installedFolder(home, runtime));

/** The host lies where neither the function nor its runtime look. */
async function behindHost(
  direct: ResolvedRuntime,
  client: readonly string[],
  options: RuntimeOptions,
): Promise<ResolvedRuntime | null> {
  const node = await nodeFor(pinnedNode, options);
  if (!node) return null;
  return {
    ...direct,
    command: hostCommand,
    client,
    mounts: [...direct.mounts, ...hostMounts(node.path)],
    overheadMiB: hostMiB,
  };
}

const hostHeap = "--max-old-space-size=64";
const hostMiB = 48;
const hostCommand = ["/var/mayfly/node", hostHeap, "/var/mayfly/host/host.cjs"];
const hostMounts = (node: string) => [
  { from: node, to: "/var/mayfly/node" },
  { from: join(here, "host"), to: "/var/mayfly/host" },
  { from: join(here, "nodejs"), to: "/var/mayfly/nodejs" },
];

/** The host serves HTTP for the function's own process; it needs little memory itself. */
async function findCustom(options: RuntimeOptions): Promise<ResolvedRuntime | null> {
  const node = await nodeFor(pinnedNode, options);
  if (!node) return null;
  const runtimeDir = join(here, "host");
  return {
    command: ["/var/lang/bin/node", hostHeap, "/var/runtime/host/host.cjs"],
    mounts: [
      { from: node.path, to: "/var/lang/bin/node" },
      { from: runtimeDir, to: "/var/runtime/host" },
      { from: join(here, "nodejs"), to: "/var/runtime/nodejs" },
    ],
    runtimeDir,
    overheadMiB: hostMiB,
    version: node.version,
  };
}

/** Hosted as custom ones are; our own part keeps out of the way of the folders that are its. */
async function findAdded(runtime: string, options: RuntimeOptions): Promise<ResolvedRuntime | null> {
  const runtimeDir = installedFolder(options.home, runtime);
  const { version, architectures, lang } = await readRuntimePackage(runtimeDir);
  const node = await nodeFor(pinnedNode, options);
  const isForThis = architectures.length === 0 || architectures.includes(hostArchitecture);
  if (!node || !isForThis) return null;
  return {
    command: [...hostCommand, "/var/runtime/bootstrap"],
    mounts: [
      ...hostMounts(node.path),
      { from: runtimeDir, to: "/var/runtime" },
      ...(lang === undefined ? [] : [{ from: lang, to: "/var/lang" }]),
    ],
    runtimeDir,
    overheadMiB: hostMiB,
    version,
  };
}

async function findPythonRuntime(runtime: string, options: RuntimeOptions): Promise<ResolvedRuntime | null> {
  const python = await findPython(runtime, join(installedFolder(options.home, runtime), "bin"));
  if (!python) return null;
  const sources = join(here, "python");
  const runtimeDir = options.compiled === undefined ? sources : await compiled(python, sources, options.compiled);
  const isSystems = python.prefix === "/usr";
  const interpreter = isSystems ? python.path : `/var/lang/bin/${runtime}`;
  const script = "/var/runtime/bootstrap.py";
  const bootstrap = runtimeDir === sources ? script : `/var/runtime/${COMPILED_SCRIPT}`;
  // An interpreter that was built elsewhere looks for its library where it was built; it now lies in /var/lang.
  const command = [interpreter, ...isolationFlags, bootstrap];
  const direct = {
    command: isSystems ? command : withLibraries(command),
    mounts: [
      ...(isSystems ? [] : [{ from: python.prefix, to: "/var/lang" }]),
      { from: runtimeDir, to: "/var/runtime" },
    ],
    runtimeDir,
    overheadMiB: 0,
    version: python.version,
  };
  if (!options.host) return direct;
  // A wrapper script decides about Python's own options itself, and may look for the name that it has on Lambda.
  const flags = options.host.isWrapped ? ["-X", "utf8"] : isolationFlags;
  return behindHost(direct, [interpreter, ...flags, script], options);
}

/** For an interpreter that loads libraries from the folders the environment names: it asks for them only when it begins. */
export const withLibraries = (command: readonly string[]): readonly string[] => [
  "/usr/bin/env",
  `LD_LIBRARY_PATH=${LIBRARY_PATH}`,
  ...command,
];

/** The system's own additions (environment, user and site packages) are none of a function's business. */
const isolationFlags = ["-I", "-S", "-X", "utf8"];

/** What V8 may take: the memory without what a process needs besides, 48 MiB or a tenth. */
function heapFlags(memoryMiB: number | undefined): string[] {
  if (memoryMiB === undefined) return [];
  const heapMiB = Math.floor(memoryMiB - Math.max(48, memoryMiB / 10));
  return [`--max-old-space-size=${heapMiB}`];
}
