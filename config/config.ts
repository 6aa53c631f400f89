/**
 * The one configuration of a Mayfly process: read from the environment once, validated, frozen. Every variable begins with
 * `MAYFLY_`; durations are milliseconds, memory is MiB.
 */
import { availableParallelism, hostname, totalmem } from "node:os";
import { z } from "zod";
import { isWithin, rangeOf } from "../subjects/egress.ts";
import { AccountId, DEFAULT_ACCOUNT } from "../subjects/tokens.ts";
import { PRIVATE } from "./address-ranges.ts";
import { ACCOUNT_CONCURRENCY, ASYNC_BACKOFF_MS, ASYNC_RETRY_DELAYS_MS, INIT_LIMIT_MS, STREAM_RATE } from "./limits.ts";

const MIB = 1024 * 1024;
const ms = (standard: number) => z.coerce.number().int().positive().default(standard);
const list = (standard: string) =>
  z
    .string()
    .default(standard)
    .transform((text) =>
      text
        .split(",")
        .map((each) => each.trim())
        .filter((each) => each !== ""),
    );

const SANDBOXES = ["auto", "bubblewrap", "oci", "oci:crun", "oci:runc", "oci:runsc", "process"] as const;
type Sandbox = (typeof SANDBOXES)[number] | `oci:/${string}`;
const isSandbox = (text: unknown): text is Sandbox =>
  typeof text === "string" && (SANDBOXES.some((each) => each === text) || /^oci:\/\S+$/.test(text));

/** Of the host's memory, what all its workers together may promise to sandboxes. */
const SHARE_FOR_SANDBOXES = 0.8;

const isPrivate = (cidr: string): boolean => {
  const range = rangeOf(cidr);
  return range !== undefined && PRIVATE.map(rangeOf).some((each) => each !== undefined && isWithin(range, each));
};
/** Thawing costs the next call a quarter of a millisecond; calls that follow each other more quickly never pay it. */
const FREEZE_AFTER_MS = 100;

/**
 * For a small machine: a Node.js sandbox that waits takes 10 MiB and no processor, so a worker has 80 MiB of them at most,
 * and none before somebody has asked. More than four at once are as quickly made as two processors can initialise them.
 */
const STEM_CELLS = { perKind: 4, kindsAtFull: 2 } as const;

/** Of disk, for each worker: a large bundle's takes one and a half. */
const BYTECODE_MIB = 256;

const Environment = z.object({
  MAYFLY_REGION: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .default("us-east-1"),
  MAYFLY_ACCOUNTS: list(DEFAULT_ACCOUNT).pipe(z.array(AccountId).min(1)),
  MAYFLY_ZONES: list("a,b").pipe(z.array(z.string().regex(/^[A-Za-z0-9_-]+$/)).min(1)),
  MAYFLY_CONCURRENCY: z.coerce.number().int().positive().default(ACCOUNT_CONCURRENCY),
  MAYFLY_WORKER_MEMORY: z.coerce.number().int().positive().optional(),
  MAYFLY_IDLE_TIMEOUT: ms(300_000),
  MAYFLY_FREEZE_AFTER: z.coerce.number().int().nonnegative().default(FREEZE_AFTER_MS),
  MAYFLY_STEM_CELLS: z.coerce.number().int().nonnegative().default(STEM_CELLS.perKind),
  MAYFLY_BYTECODE: z.coerce.number().int().nonnegative().default(BYTECODE_MIB),
  MAYFLY_STREAM_RATE: z.coerce.number().positive().max(STREAM_RATE.max).default(STREAM_RATE.standard),
  MAYFLY_INIT_TIMEOUT: ms(INIT_LIMIT_MS),
  MAYFLY_RESERVE_TIMEOUT: ms(60_000),
  MAYFLY_HEARTBEAT: ms(1_000),
  MAYFLY_SLOW: ms(1_000),
  MAYFLY_ASYNC_DEPTH: z.coerce.number().int().positive().default(1_000_000),
  MAYFLY_ASYNC_CONCURRENCY: z.coerce.number().int().positive().default(32),
  MAYFLY_ASYNC_RETRY_DELAYS: list(ASYNC_RETRY_DELAYS_MS.join(","))
    .transform((texts) => texts.map(Number))
    .pipe(z.array(z.number().int().positive()).min(1)),
  MAYFLY_ASYNC_BACKOFF_MIN: ms(ASYNC_BACKOFF_MS.min),
  MAYFLY_ASYNC_BACKOFF_MAX: ms(ASYNC_BACKOFF_MS.max),
  MAYFLY_ASYNC_ACK_WAIT: z.coerce.number().int().min(1000).default(30_000),
  MAYFLY_REPLICAS: z.coerce.number().int().min(1).max(5).default(1),
  MAYFLY_SANDBOX: z
    .custom<Sandbox>(
      isSandbox,
      `must be one of ${SANDBOXES.join(", ")}, or the path of an OCI runtime, as in oci:/usr/bin/crun`,
    )
    .default("auto"),
  MAYFLY_EGRESS: z.enum(["auto", "slirp4netns", "off"]).default("auto"),
  MAYFLY_EGRESS_PRIVATE: list("").pipe(
    z.array(z.string().refine(isPrivate, "must be private networks, as in 10.1.0.0/16")),
  ),
  MAYFLY_LOG: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("warn"),
  MAYFLY_MODE: z.enum(["development", "production"]).optional(),
});

export type Config = Readonly<{
  region: string;
  /** Tenants this system serves. */
  accounts: readonly string[];
  zones: readonly string[];
  /** Concurrent invocations of one account. */
  concurrency: number;
  /** Memory that each worker may give to sandboxes. */
  workerMemoryMiB: number;
  /** A sandbox nobody used for so long is stopped. */
  idleMs: number;
  /** An idle sandbox is frozen after so long, where the host can; 0 for never. */
  freezeMs: number;
  /** Sandboxes of each worker that are booted before they are needed: of one runtime and size, and in all; 0 for none. */
  stemCells: Readonly<{ perKind: number; total: number }>;
  /** What a worker keeps of functions' bytecode, so that the next sandbox needn't compile; 0: nothing. */
  bytecodeMiB: number;
  /** MiB of a streamed response that leave in a second, after its first six. */
  streamRate: number;
  initMs: number;
  /** An invocation that has found no sandbox for so long is refused. */
  reserveMs: number;
  /** Between two heartbeats; two missed ones make a worker lost. */
  heartbeatMs: number;
  /** Invocations that run longer are kept in the STATE stream. */
  slowMs: number;
  async: Readonly<{
    /** Events that one function (or one qualifier of it) may have queued; more are refused. */
    depth: number;
    /** Events of one function that run at the same time, where the function doesn't say. */
    concurrency: number;
    /** Waits before the second attempt, the third and so on, after errors of the function. */
    retryDelaysMs: readonly number[];
    /** Waits after a throttle or a fault of the platform: the first one, doubled up to the last. */
    backoffMs: Readonly<{ min: number; max: number }>;
    /** An event whose poller was silent for so long is given to another. */
    ackWaitMs: number;
  }>;
  replicas: number;
  /** How sandboxes are made: "auto" and "oci" choose among those that isolate, "process" doesn't isolate. */
  sandbox: Sandbox;
  egress: Readonly<{
    /** How functions that are to have a network get it; `off`: none does. */
    way: "auto" | "slirp4netns" | "off";
    /** Private networks that functions may name: the machine's owner says so, not the function's. */
    permitted: readonly string[];
  }>;
  log: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** What MAYFLY_MODE says, else NODE_ENV. */
  mode: "development" | "production";
  host: string;
  /** Sandboxes that may be starting at the same time in one pool. */
  startingLimit: number;
}>;

/** Names every wrong variable, with what it should have been. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Reads and validates. Throws `ConfigError`. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const known = Object.fromEntries(
    Object.entries(env).filter(([key, value]) => key.startsWith("MAYFLY_") && value !== ""),
  );
  const parsed = Environment.safeParse(known);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, message }) => `${path[0]?.toString() ?? "?"}: ${message}`);
    throw new ConfigError(wrong.join("; "));
  }
  const e = parsed.data;
  const memoryMiB = Math.floor((totalmem() / MIB) * SHARE_FOR_SANDBOXES);
  return Object.freeze({
    region: e.MAYFLY_REGION,
    accounts: e.MAYFLY_ACCOUNTS,
    zones: e.MAYFLY_ZONES,
    concurrency: e.MAYFLY_CONCURRENCY,
    workerMemoryMiB: e.MAYFLY_WORKER_MEMORY ?? Math.floor(memoryMiB / e.MAYFLY_ZONES.length),
    idleMs: e.MAYFLY_IDLE_TIMEOUT,
    freezeMs: e.MAYFLY_FREEZE_AFTER,
    stemCells: Object.freeze({
      perKind: e.MAYFLY_STEM_CELLS,
      total: STEM_CELLS.kindsAtFull * e.MAYFLY_STEM_CELLS,
    }),
    bytecodeMiB: e.MAYFLY_BYTECODE,
    streamRate: e.MAYFLY_STREAM_RATE,
    initMs: e.MAYFLY_INIT_TIMEOUT,
    reserveMs: e.MAYFLY_RESERVE_TIMEOUT,
    heartbeatMs: e.MAYFLY_HEARTBEAT,
    slowMs: e.MAYFLY_SLOW,
    async: Object.freeze({
      depth: e.MAYFLY_ASYNC_DEPTH,
      concurrency: e.MAYFLY_ASYNC_CONCURRENCY,
      retryDelaysMs: e.MAYFLY_ASYNC_RETRY_DELAYS,
      backoffMs: Object.freeze({ min: e.MAYFLY_ASYNC_BACKOFF_MIN, max: e.MAYFLY_ASYNC_BACKOFF_MAX }),
      ackWaitMs: e.MAYFLY_ASYNC_ACK_WAIT,
    }),
    replicas: e.MAYFLY_REPLICAS,
    sandbox: e.MAYFLY_SANDBOX,
    egress: Object.freeze({ way: e.MAYFLY_EGRESS, permitted: e.MAYFLY_EGRESS_PRIVATE }),
    log: e.MAYFLY_LOG,
    mode: e.MAYFLY_MODE ?? (env.NODE_ENV === "production" ? "production" : "development"),
    host: hostname().replaceAll(/[^A-Za-z0-9_-]/g, "-"),
    startingLimit: Math.max(4, 2 * availableParallelism()),
  });
}
