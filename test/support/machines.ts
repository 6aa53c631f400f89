/** Each machine of the data plane, with its effects replaced by a recorder, ready to be told what happened. */
import { fromCallback } from "xstate";
import { type CountingInput, countingMachine } from "../../actors/counting/machine.ts";
import { leasesMachine } from "../../actors/frontend/leases/machine.ts";
import type { Told } from "../../actors/frontend/leases/policy.ts";
import { type InvocationInput, invocationMachine } from "../../actors/frontend/machine.ts";
import { type LeaseInput, leaseMachine } from "../../actors/placement/machine.ts";
import { type BacklogInput, backlogMachine } from "../../actors/poller/backlog/machine.ts";
import { type EventInput, eventMachine } from "../../actors/poller/machine.ts";
import type { Rules } from "../../actors/poller/policy.ts";
import {
  type ProcessCommand,
  type SandboxEvent,
  type SandboxInput,
  sandboxMachine,
} from "../../actors/sandbox/machine.ts";
import { type WorkerInput, workerMachine } from "../../actors/worker/machine.ts";
import { type PoolInput, poolMachine } from "../../actors/worker-manager/machine.ts";
import { type FunctionSpec, poolId } from "../../subjects/function.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import type { Call, Heartbeat } from "../../subjects/worker.ts";
import { given } from "./given.ts";

export const TICK_MS = 1000;

export const spec = (change: Partial<FunctionSpec> = {}): FunctionSpec => ({
  acct: DEFAULT_ACCOUNT,
  fn: "hello",
  version: "$LATEST",
  revision: "r1",
  arn: `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:hello`,
  runtime: "nodejs24.x",
  handler: "index.handler",
  architecture: "x86_64",
  memoryMiB: 128,
  timeoutMs: 3000,
  tmpMiB: 512,
  codeSha256: "0".repeat(64),
  layerSha256s: [],
  environment: {},
  logFormat: "Text",
  ...change,
});

export const call = (requestId: string): Call => ({
  requestId,
  frontendId: "fe1",
  replyTo: `reply.${requestId}`,
  arn: spec().arn,
  queuedUs: 0,
  tail: false,
});

export const beat = (change: Partial<Heartbeat> = {}): Heartbeat => ({
  zone: "a",
  host: "host",
  state: "joining",
  runtimes: ["nodejs24.x"],
  architecture: "x86_64",
  isolation: "none",
  capacityMiB: 1024,
  busyMiB: 0,
  idleMiB: 0,
  sandboxes: 0,
  running: [],
  ...change,
});

export const givenSandbox = (change: Partial<SandboxInput> = {}) =>
  given<typeof sandboxMachine, ProcessCommand>(
    (record) =>
      sandboxMachine.provide({
        actors: {
          process: fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(({ receive }) => receive(record)),
        },
      }),
    {
      sandboxId: "s1",
      workerId: "w1",
      poolId: poolId(spec()),
      spec: spec(),
      isolation: "none",
      limits: { initMs: 10_000, idleMs: 300_000, freezeMs: 100 },
      ...change,
    },
  );

export const givenWorker = (change: Partial<WorkerInput> = {}) =>
  given<typeof workerMachine, string>(
    (record) =>
      workerMachine.provide({
        actions: {
          host: ({ event }) => record(event.type === "worker.create" ? `host ${event.sandboxId}` : "host"),
        },
      }),
    { workerId: "w1", zone: "a", capacityMiB: 1024, beatMs: TICK_MS, ...change },
  );

export const LEASE_MS = 6 * 3_600_000;

export const givenLease = (change: Partial<LeaseInput> = {}) =>
  given<typeof leaseMachine, string>(
    (record) =>
      leaseMachine.provide({
        actions: {
          keepLease: () => record("keepLease"),
          keepLoss: () => record("keepLoss"),
          dropLease: () => record("dropLease"),
        },
      }),
    { workerId: "w1", beat: beat(), heardAt: 0, beatMs: TICK_MS, leaseMs: LEASE_MS, leasedAt: 0, ...change },
  );

export const POOL_LIMITS = { starting: 4, silentTicks: 4, startTicks: 20, stuckTicks: 8, unfitTicks: 3 };

export const givenPool = (change: Partial<PoolInput> = {}) =>
  given(poolMachine, { poolId: poolId(spec()), epoch: "e", tickMs: TICK_MS, limits: POOL_LIMITS, ...change });

export const TIMING: CountingInput["timing"] = { tickMs: TICK_MS, rebuildMs: 300, recallMs: 25, silentTicks: 4 };

export const givenCounting = (change: Partial<CountingInput> = {}) =>
  given(countingMachine, { acct: DEFAULT_ACCOUNT, limit: 10, reserved: {}, timing: TIMING, ...change });

export const givenLeases = () =>
  given<typeof leasesMachine, Told>(
    (record) => leasesMachine.provide({ actions: { tell: ({ context }) => context.told.forEach(record) } }),
    { poolId: poolId(spec()), frontendId: "fe1", spec: spec(), tickMs: TICK_MS },
  );

export const INVOCATION_LIMITS = { reserveMs: 60_000, initMs: 10_000, graceMs: 2000, tickMs: 250 };

export const givenInvocation = (change: Partial<InvocationInput> = {}) =>
  given<typeof invocationMachine, "look" | "arrive" | "leave" | "finish" | "abandon" | "enqueue">(
    (record) =>
      invocationMachine.provide({
        actions: {
          look: () => record("look"),
          arrive: () => record("arrive"),
          leave: () => record("leave"),
          abandon: () => record("abandon"),
          finish: () => record("finish"),
          enqueue: () => record("enqueue"),
        },
      }),
    {
      requestId: "q1",
      acct: DEFAULT_ACCOUNT,
      fn: "hello",
      qualifier: undefined,
      replyTo: "reply.q1",
      payload: new Uint8Array(),
      arrivedUs: 0,
      traceId: undefined,
      clientContext: undefined,
      tail: false,
      dryRun: false,
      streams: false,
      acknowledges: false,
      refused: undefined,
      spec: spec(),
      limits: INVOCATION_LIMITS,
      ...change,
    },
  );

export const RULES: Rules = {
  retries: 2,
  maxAgeMs: 21_600_000,
  isClosed: false,
  retryDelaysMs: [60_000, 120_000],
  backoffMs: { min: 1000, max: 300_000 },
};

export const givenEvent = (change: Partial<EventInput> = {}) =>
  given<typeof eventMachine, string>(
    (record) =>
      eventMachine.provide({
        actions: {
          run: () => record("run"),
          succeed: () => record("succeed"),
          defer: () => record("defer"),
          bury: () => record("bury"),
          acknowledge: () => record("acknowledge"),
          giveBack: () => record("giveBack"),
          keep: () => record("keep"),
        },
      }),
    {
      requestId: "q1",
      acct: DEFAULT_ACCOUNT,
      fn: "hello",
      qualifier: undefined,
      payload: new Uint8Array(),
      attempt: 1,
      setbacks: 0,
      shard: "0",
      accepted: 1,
      acceptedAt: 0,
      traceId: undefined,
      clientContext: undefined,
      stream: "ASYNC_0",
      sequence: 1,
      ...change,
    },
  );

export const BACKLOG_IDLE_MS = 30_000;

export const givenBacklog = (change: Partial<BacklogInput> = {}) =>
  given<typeof backlogMachine, string>(
    (record) =>
      backlogMachine.provide({
        actions: {
          open: ({ context }) => record(`open ${Object.keys(context.sources).join("+")}`),
          check: () => record("check"),
          close: () => record("close"),
          grant: ({ context }) => {
            for (const id of context.granted) record(`grant ${id}`);
          },
          recall: ({ context }) => {
            for (const id of context.waiting) record(`recall ${id}`);
          },
        },
      }),
    { acct: DEFAULT_ACCOUNT, fn: "hello", limit: 2, isPaused: false, idleMs: BACKLOG_IDLE_MS, ...change },
  );
