/** What a sandbox takes from the worker it lives on. */
import type { FunctionSpec } from "../../subjects/function.ts";
import type { KeptBytecode } from "./bytecode.ts";
import type { EnclosureSpec, SandboxDriver } from "./drivers/driver.ts";
import type { SandboxInput } from "./machine.ts";
import type { RuntimeInit } from "./runtime-init.ts";
import type { StemCells } from "./stem-cells/pool.ts";
import type { StreamPaceLimits } from "./stream-pace.ts";

/** Lambda gives one processor at 1,769 MB, and more or less of it in proportion. Source: Lambda developer guide, memory. */
const MIB_PER_CPU = 1769;
const PIDS = 1024;

/** What a runtime needs to run inside: from the runtime catalogue and the code cache. */
export interface Furnishing {
  readonly command: readonly string[];
  readonly mounts: ReadonlyArray<{ readonly from: string; readonly to: string }>;
  readonly init: RuntimeInit;
  /** What our own part inside takes beside the function's memory. */
  readonly overheadMiB: number;
  /** It has extensions of the function's layers. A function may also bring some of its own, which its host tells then. */
  readonly lingers?: boolean;
  /** Whether the code is still where a further life would find it; without it, it is. */
  readonly isThere?: () => boolean;
  /** Where the runtime is one that begins with it and hands it over, and it may be kept. */
  readonly bytecode?: KeptBytecode;
  /** The code isn't needed any more. */
  release(): void;
}

export interface SandboxWorld {
  readonly driver: SandboxDriver;
  /** Sandboxes that are booted before they are needed, where there are any. */
  readonly stems?: Pick<StemCells, "take">;
  /**
   * Fetches code, resolves the runtime. Rejects with an Error whose `name` says whose fault it is, see policy.ts. `wantsHost`:
   * the function was seen to ask for what only a host serves.
   */
  furnish(spec: FunctionSpec, sandboxId: string, wantsHost: boolean): Promise<Furnishing>;
  /** One line of function output. */
  log(sandbox: SandboxInput, text: string): void;
  /** Resolves when all that was said so far has left this process; rejects when it can't. */
  sent(): Promise<void>;
  /** The host could not make it, or boot it again. */
  hostFailed(sandbox: SandboxInput, cause: unknown): void;
  /** Something of a sandbox could not be stopped or removed. */
  leftBehind(sandbox: SandboxInput, error: unknown): void;
  /** Resolves when what is left of a sandbox that has ended may be taken down: others have the processors first. */
  makeWay?(): Promise<void>;
  /** A sandbox goes; `gone` settles when nothing of it is left. */
  ending?(gone: Promise<void>): void;
  us(): number;
  readonly streamPace: StreamPaceLimits;
}

/** The place a function of `spec` runs in. */
export function enclosureFor(
  id: string,
  spec: Pick<FunctionSpec, "memoryMiB" | "tmpMiB" | "egress">,
  { mounts, command, overheadMiB }: Pick<Furnishing, "mounts" | "command" | "overheadMiB">,
): EnclosureSpec {
  return {
    id,
    memoryMiB: spec.memoryMiB + overheadMiB,
    cpus: spec.memoryMiB / MIB_PER_CPU,
    pids: PIDS,
    tmpMiB: spec.tmpMiB,
    mounts,
    ...(spec.egress === undefined ? {} : { egress: spec.egress }),
    command,
  };
}
