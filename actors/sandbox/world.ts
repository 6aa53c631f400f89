/** What a sandbox takes from the worker it lives on. */
import type { FunctionSpec } from "../../subjects/function.ts";
import type { SandboxDriver } from "./drivers/driver.ts";
import type { SandboxInput } from "./machine.ts";
import type { RuntimeInit } from "./runtime-init.ts";

/** What a runtime needs to run inside: from the runtime catalogue and the code cache. */
export interface Furnishing {
  readonly command: readonly string[];
  readonly mounts: ReadonlyArray<{ readonly from: string; readonly to: string }>;
  readonly init: RuntimeInit;
  /** What our own part inside takes beside the function's memory. */
  readonly overheadMiB: number;
  /** It has extensions of the function's layers. A function may also bring some of its own, which its host tells then. */
  readonly lingers?: boolean;
  /** The code isn't needed any more. */
  release(): void;
}

export interface SandboxWorld {
  readonly driver: SandboxDriver;
  /** Fetches code, resolves the runtime. Rejects with an Error whose `name` becomes the error type. */
  furnish(spec: FunctionSpec, sandboxId: string): Promise<Furnishing>;
  /** One line of function output. */
  log(sandbox: SandboxInput, text: string): void;
  /** Resolves when the lines so far have left this process; rejects when they can't. */
  logged(): Promise<void>;
  /** Something of a sandbox could not be removed. */
  leftBehind(sandbox: SandboxInput, error: unknown): void;
  /** A sandbox goes; `gone` settles when nothing of it is left. */
  ending?(gone: Promise<void>): void;
  us(): number;
}
