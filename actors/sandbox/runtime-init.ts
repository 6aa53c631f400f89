/** What a runtime is told about itself: what it is going to be, and why it ends. */

/** All that a booted runtime learns about the function. The whole environment arrives here. */
export interface RuntimeInit {
  readonly env: Readonly<Record<string, string>>;
  /** `invoke` when it begins again inside an invocation's time. Default `init`. */
  readonly phase?: InitPhase;
  /** The invocation inside whose time it begins again. */
  readonly requestId?: string;
  readonly handler: string;
  readonly runtime: string;
  /** With the version of what runs it, such as `nodejs:24.1.0`. Default: as `runtime`. */
  readonly runtimeVersion?: string;
  /** Where the code lies inside the sandbox; `/var/task`. */
  readonly taskRoot: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly memoryMiB: number;
  readonly logFormat: "Text" | "JSON";
  /** Messages below it are dropped by the runtime; without it none are. */
  readonly logLevel?: Exclude<LogLevel, "NONE">;
  /** Where the host serves the Runtime API. Default `127.0.0.1:9001`. */
  readonly runtimeApi?: string;
  /** What the host starts and speaks these frames with; without it the function's own `bootstrap`, which speaks HTTP. */
  readonly client?: readonly string[];
  /** Where the layers lie. Default `/opt`. */
  readonly layersRoot?: string;
  readonly accountId?: string;
  /** Of the worker, as a host tells whoever asks for it in the sandbox. */
  readonly zone?: string;
}

export type InitPhase = "init" | "invoke";

/** `NONE` marks text without a level of its own. */
export type LogLevel = "NONE" | "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";

/** Why a sandbox ends, as its extensions are told. `graceMs` is what is left until it is killed. */
export interface Shutdown {
  readonly reason: ShutdownReason;
  readonly graceMs: number;
}
export type ShutdownReason = "spindown" | "timeout" | "failure";
