/** Worker: hosts sandboxes. All its subjects carry its id: front ends and the worker manager talk to one worker directly. */
import { z } from "zod";
import { json, raw } from "./contract.ts";
import { Architecture, FunctionSpec } from "./function.ts";
import { AccountId, Token } from "./tokens.ts";

/**
 * Request: start a sandbox. Replied at once (`{}` or a refusal, `NoRoom`); the outcome comes as a SandboxReport. It is granted
 * to the front end `wantedBy` as soon as it is usable.
 */
export const CreateSandbox = json(
  "mayfly.worker.{workerId}.create",
  z.object({ sandboxId: Token, poolId: Token, wantedBy: Token.exactOptional(), spec: FunctionSpec }),
);

/** Request from placement: you are on lease until `endsAt` (epoch ms) and may be sent sandboxes. Reply `{}`. */
export const LeaseWorker = json("mayfly.worker.{workerId}.lease", z.object({ endsAt: z.number() }));

/**
 * Request from placement: you were silent since then (epoch ms) and have been given up, so what ran on you was told as lost.
 * Reply `{}`, once that is being ended and what else there is of sandboxes has been said (`Hosted`). What began after it was
 * said of one silence isn't ended when the same is said again.
 */
export const GivenUp = json("mayfly.worker.{workerId}.given-up", z.object({ silentSince: z.number() }));

/** Stop a sandbox: at once when idle, when done if busy, or in the middle of it where nobody waits for that any more. */
export const StopSandbox = json(
  "mayfly.worker.{workerId}.stop.{sandboxId}",
  z.object({ reason: z.string(), atOnce: z.literal(true).exactOptional() }),
);

/** Take no more sandboxes, finish the running ones, go. */
export const DrainWorker = json("mayfly.worker.{workerId}.drain", z.object({ reason: z.string() }));

/** One invocation for one sandbox; the payload is the body, the call travels in the header `Mayfly-Call` as JSON. */
export const InvokeSandbox = raw("mayfly.worker.{workerId}.invoke.{sandboxId}");

/** The header of InvokeSandbox. Times are microseconds. */
export const Call = z.object({
  requestId: Token,
  frontendId: Token,
  /** Where the caller waits: the worker answers there itself. */
  replyTo: z.string().exactOptional(),
  arn: z.string(),
  queuedUs: z.number(),
  traceId: z.string().exactOptional(),
  /** As the caller sent it: base64 JSON. */
  clientContext: z.string().exactOptional(),
  tail: z.boolean(),
  /** The caller is answered as it is produced, see response-stream.ts. */
  streams: z.literal(true).exactOptional(),
  /** And acknowledges what it has read. */
  acknowledges: z.literal(true).exactOptional(),
});
export type Call = Readonly<z.infer<typeof Call>>;

/** To the front end, before the caller is answered, so that the sandbox is free again when the caller calls again. */
export const Finished = json(
  "mayfly.frontend.{frontendId}.finished.{requestId}",
  z.object({
    sandboxId: Token,
    /**
     * `ok`, `function-error`, and `lost` as a fault of the platform, were answered to the caller; `refused` was not run and
     * the front end asks elsewhere.
     */
    outcome: z.enum(["ok", "function-error", "lost", "refused"]),
    errorType: z.string().optional(),
    cold: z.boolean(),
    createUs: z.number(),
    initUs: z.number(),
    runUs: z.number(),
    /** Whether the sandbox takes another invocation. */
    alive: z.boolean(),
  }),
);
export type Finished = z.infer<NonNullable<(typeof Finished)["body"]>>;

/** A sandbox became usable, could not start, or is gone. Said to whoever listens: worker manager and the worker itself. */
export const SandboxReport = json(
  "mayfly.sandbox.{workerId}.{sandboxId}",
  z.object({
    poolId: Token,
    state: z.enum(["idle", "failed", "dead"]),
    reason: z.string(),
    /** The front end that it has been granted to. */
    grantedTo: Token.exactOptional(),
    /** The runtime's own error JSON, when init failed. */
    functionError: z.string().optional(),
    /** Why its host could not make it, as callers may be told. */
    hostFault: z.string().optional(),
  }),
);

/** Every tick, and on Recount. MiB are sums of the sandboxes' MemorySize. */
export const Heartbeat = json(
  "mayfly.worker.{workerId}.heartbeat",
  z.object({
    zone: Token,
    host: z.string(),
    state: z.enum(["joining", "ready", "draining", "gone"]),
    runtimes: z.array(z.string()),
    architecture: Architecture.default("x86_64"),
    isolation: z.string(),
    capacityMiB: z.number(),
    busyMiB: z.number(),
    idleMiB: z.number(),
    sandboxes: z.number(),
    /** Running invocations by front end and function: the truth that Counting rebuilds from. */
    running: z.array(z.object({ acct: AccountId, fn: Token, frontendId: Token, count: z.number() })),
  }),
);
export type Heartbeat = z.infer<NonNullable<(typeof Heartbeat)["body"]>>;

/** What a worker hosts of one pool, said on Recount so that a worker manager can rebuild it. */
export const Hosted = json(
  "mayfly.worker.{workerId}.hosted.{poolId}",
  z.object({ sandboxes: z.array(z.object({ sandboxId: Token, state: z.enum(["init", "idle", "busy"]) })) }),
);
export type HostedSandbox = z.infer<(typeof Hosted)["body"]>["sandboxes"][number];
