/**
 * Every state × every command: whoever asks is answered, by a transition or by a named refusal, never by silence.
 *
 * The states come from the machines' definitions and the events from their types, so a new one of either kind fails here
 * until somebody has said how it is reached, or whether it is a command, and has looked at its row.
 */
import { describe, expect, test } from "vitest";
import type { AnyMachineSnapshot, AnyStateMachine, EmittedFrom, EventFromLogic } from "xstate";
import { type CountingEvent, countingMachine } from "../../actors/counting/machine.ts";
import { leasesMachine } from "../../actors/frontend/leases/machine.ts";
import { type InvocationEvent, invocationMachine } from "../../actors/frontend/machine.ts";
import { leaseMachine } from "../../actors/placement/machine.ts";
import { backlogMachine, type Source } from "../../actors/poller/backlog/machine.ts";
import { eventMachine } from "../../actors/poller/machine.ts";
import { sandboxMachine } from "../../actors/sandbox/machine.ts";
import { workerMachine } from "../../actors/worker/machine.ts";
import { poolMachine } from "../../actors/worker-manager/machine.ts";
import { refusal } from "../../subjects/errors.ts";
import { poolId } from "../../subjects/function.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { restingStates } from "../support/chart.ts";
import type { Scene } from "../support/given.ts";
import {
  beat,
  call,
  givenBacklog,
  givenCounting,
  givenEvent,
  givenInvocation,
  givenLease,
  givenLeases,
  givenPool,
  givenSandbox,
  givenWorker,
  INVOCATION_LIMITS,
  RULES,
  spec,
  TICK_MS,
} from "../support/machines.ts";

/** `asks`: somebody waits for an answer. `tells`: an instruction. `fact`: something that happened. */
type Kind = "asks" | "tells" | "fact";

interface Row<L extends AnyStateMachine, Told = never> {
  readonly machine: L;
  /** How each state is reached. */
  readonly reach: Readonly<Record<string, () => Scene<L, Told>>>;
  /** Every event the machine knows: its type makes this total. */
  readonly kinds: Readonly<Record<EventFromLogic<L>["type"], Kind>>;
  readonly commands: ReadonlyArray<EventFromLogic<L>>;
  /** What the bus brings back when the machine asks somebody: here always a refusal. */
  readonly brings?: (said: EmittedFrom<L>) => EventFromLogic<L> | undefined;
  /** What is heard every so often while somebody waits. */
  readonly keeps?: EventFromLogic<L>;
  readonly keepsMs?: number;
  /** The answer to the command's asker among what was emitted or told, in words. */
  readonly answer: (scene: Scene<L, Told>) => string | undefined;
}

const no = refusal("NoRoom", "no");
const invoke = (requestId: string) =>
  ({ type: "sandbox.invoke", call: call(requestId), payload: new Uint8Array(), us: 0, at: 0 }) as const;
const booted = { type: "process.booted", createUs: 1, us: 0, at: 0, runtimeVersion: "nodejs:24" } as const;
const ready = { type: "process.ready", initUs: 1 } as const;
const died = {
  type: "process.exited",
  exit: { code: 1, signal: null, outOfMemory: false },
  us: 1,
  usage: { peakMemoryMiB: 1, tail: undefined },
} as const;

const responded = (requestId: string) =>
  ({
    type: "process.responded",
    requestId,
    payload: new Uint8Array(),
    us: 1,
    usage: { peakMemoryMiB: 1, tail: undefined },
  }) as const;

const idle = () => givenSandbox().when(booted, ready);
const lingering = () => givenSandbox().when({ ...booted, lingers: true }, { ...ready, lingers: true });
const sandbox: Row<typeof sandboxMachine, unknown> = {
  machine: sandboxMachine,
  reach: {
    "init.booting": () => givenSandbox(),
    "init.starting": () => givenSandbox().when(booted),
    "idle.ready": idle,
    "idle.frozen": () => idle().after(100),
    "idle.reset": () => idle().when(died),
    "busy.init.booting": () => idle().when(died, invoke("q0")),
    "busy.init.starting": () => idle().when(died, invoke("q0"), booted),
    "busy.running": () => idle().when(invoke("q0")),
    "busy.settling": () => lingering().when(invoke("q0"), responded("q0")),
    "busy.ending": () => lingering().when(invoke("q0"), { ...died, lingers: true }),
  },
  kinds: {
    "sandbox.invoke": "asks",
    "sandbox.stop": "tells",
    "process.notMade": "fact",
    "process.booted": "fact",
    "process.ready": "fact",
    "process.initFailed": "fact",
    "process.responded": "fact",
    "process.streamed": "fact",
    "reader.awaited": "fact",
    "reader.took": "fact",
    "reader.lost": "fact",
    "process.failed": "fact",
    "process.settled": "fact",
    "process.exited": "fact",
    "process.gone": "fact",
  },
  commands: [invoke("q1"), { type: "sandbox.stop", reason: "test" }],
  answer: ({ saidSoFar }) => {
    for (const said of saidSoFar) {
      if (said.type === "refused" && said.call.requestId === "q1") return `refused: ${said.why.split(":")[0]}`;
      if (said.type === "finished" && said.job.call.requestId === "q1") return `finished: ${said.outcome.kind}`;
    }
    return undefined;
  },
};

const replied = (saidSoFar: ReadonlyArray<{ type: string }>): string | undefined => {
  for (const said of saidSoFar as ReadonlyArray<{
    type: string;
    to?: string;
    refusal?: { name: string };
    body?: object;
  }>) {
    if (said.to !== "asker") continue;
    return said.type === "refuse" ? `refused: ${said.refusal?.name}` : `replied: ${JSON.stringify(said.body)}`;
  }
  return undefined;
};

const create = (sandboxId: string, memoryMiB = 128, replyTo = "asker") =>
  ({ type: "worker.create", replyTo, sandboxId, poolId: "p", spec: spec({ memoryMiB }), idle: [] }) as const;
const leased = (replyTo?: string) => ({ type: "worker.lease", replyTo, endsAt: 1 }) as const;
const worker: Row<typeof workerMachine, string> = {
  machine: workerMachine,
  reach: {
    joining: () => givenWorker(),
    ready: () => givenWorker().when(leased()),
    "draining.emptying": () =>
      givenWorker().when(leased(), create("s0", 128, "other"), { type: "worker.drain", reason: "test" }),
  },
  kinds: {
    "worker.lease": "asks",
    "worker.create": "asks",
    "worker.drain": "tells",
    "worker.recount": "tells",
    "worker.givenUp": "asks",
    "sandbox.reported": "fact",
  },
  commands: [
    leased("asker"),
    create("s1"),
    create("s2", 4096),
    { type: "worker.drain", reason: "test" },
    { type: "worker.recount" },
    { type: "worker.givenUp", replyTo: "asker", silentSince: 1, busy: ["s1"] },
  ],
  answer: ({ saidSoFar }) => replied(saidSoFar),
};

const place = (replyTo: string) => ({ type: "worker.place", replyTo, memoryMiB: 128, at: 0, leaseMs: 1e7 }) as const;
const suspect = (scene: () => Scene<typeof leaseMachine, string>) => () => scene().after(1500);
const placed = {
  offered: () => givenLease(),
  leasing: () => givenLease().when(place("other")),
  leased: () => givenLease({ beat: beat({ state: "ready" }) }),
  draining: () => givenLease({ beat: beat({ state: "draining" }) }),
} as const;
const lease: Row<typeof leaseMachine, string> = {
  machine: leaseMachine,
  reach: {
    ...Object.fromEntries(
      Object.entries(placed).flatMap(([name, scene]) => [
        [`known.lease.${name}+health.well`, scene],
        [`known.lease.${name}+health.suspect`, suspect(scene)],
      ]),
    ),
    "lost.silent": () => givenLease().after(1500).after(1500),
    "lost.telling": () =>
      givenLease()
        .after(1500)
        .after(1500)
        .when({ type: "worker.beat", beat: beat({ state: "ready" }), at: 0 }),
  },
  kinds: {
    "worker.place": "asks",
    "worker.beat": "fact",
    "lease.accepted": "fact",
    "lease.refused": "fact",
    "worker.told": "fact",
    "worker.notTold": "fact",
  },
  commands: [place("asker")],
  brings: (said) => (said.type === "askLease" ? { type: "lease.refused", refusal: no } : undefined),
  answer: ({ saidSoFar }) => replied(saidSoFar),
};

const want = (frontendId: string, count: number) => ({ type: "pool.want", frontendId, count, spec: spec() }) as const;
const pool: Row<typeof poolMachine> = {
  machine: poolMachine,
  reach: {
    "serving.waiting": () => givenPool(),
    "retiring.waiting": () => givenPool().when({ type: "pool.retire" }),
  },
  kinds: {
    "pool.want": "asks",
    "pool.return": "tells",
    "pool.retire": "tells",
    "frontend.held": "fact",
    "sandbox.placed": "fact",
    "sandbox.notPlaced": "fact",
    "sandbox.created": "fact",
    "sandbox.notCreated": "fact",
    "sandbox.reported": "fact",
    "worker.lost": "fact",
    "worker.hosted": "fact",
    "pool.tick": "fact",
  },
  commands: [
    want("asker", 1),
    { type: "pool.return", frontendId: "asker", sandboxId: "s1", alive: true },
    { type: "pool.retire" },
  ],
  keeps: { type: "frontend.held", frontendId: "asker" },
  brings: (said) =>
    said.type === "place" ? { type: "sandbox.notPlaced", sandboxId: said.sandboxId, refusal: no } : undefined,
  answer: ({ saidSoFar }) => {
    const answer = saidSoFar.find((said) => "frontendId" in said && said.frontendId === "asker");
    return answer?.type === "startFailed" ? `refused: ${answer.refused?.name}` : answer?.type;
  },
};

const apply = { fn: "hello", frontendId: "fe1", poolId: poolId(spec()) };
const admit = (count: number, replyTo: string): CountingEvent => ({ type: "counting.admit", ...apply, count, replyTo });
const counting: Row<typeof countingMachine> = {
  machine: countingMachine,
  reach: {
    "service.rebuilding+time.passing": () => givenCounting(),
    "service.counting.open+time.passing": () => givenCounting().after(300),
    "service.counting.recalling+time.passing": () => givenCounting().after(300).when(admit(11, "other")),
  },
  kinds: {
    "counting.admit": "asks",
    "counting.release": "tells",
    "counting.held": "tells",
    "worker.running": "fact",
    "worker.lost": "fact",
    "limits.changed": "fact",
  },
  commands: [
    admit(1, "asker"),
    { type: "counting.release", ...apply, count: 1 },
    { type: "counting.held", ...apply, count: 1 },
  ],
  answer: ({ saidSoFar }) => replied(saidSoFar),
};

const leases: Row<typeof leasesMachine, unknown> = {
  machine: leasesMachine,
  reach: {
    "holding.waiting": () => givenLeases(),
    "ending.waiting": () => givenLeases().when({ type: "leases.superseded" }),
  },
  kinds: {
    "invocation.arrived": "asks",
    "invocation.left": "tells",
    "invocation.finished": "fact",
    "tokens.granted": "fact",
    "sandbox.granted": "fact",
    "sandbox.failed": "fact",
    "leases.recalled": "tells",
    "leases.recount": "tells",
    "leases.superseded": "tells",
    "leases.tick": "fact",
    "worker.lost": "fact",
  },
  commands: [
    { type: "invocation.arrived", requestId: "asker" },
    { type: "invocation.left", requestId: "asker" },
    { type: "leases.recalled", acct: DEFAULT_ACCOUNT, fn: undefined },
    { type: "leases.recount" },
    { type: "leases.superseded" },
  ],
  brings: (said) =>
    said.type === "ask" ? { type: "tokens.granted", asked: said.count, granted: 0, refused: no } : undefined,
  answer: ({ snapshot }) => snapshot.context.told.map(({ event }) => event.type).join(", ") || undefined,
};

const arrived = () => givenInvocation();
const granted: InvocationEvent = { type: "lease.granted", sandbox: { sandboxId: "s1", workerId: "w1" } };
const invocation: Row<typeof invocationMachine, unknown> = {
  machine: invocationMachine,
  reach: {
    looking: () => givenInvocation({ spec: undefined }),
    admitting: arrived,
    reserving: () => arrived().when({ type: "lease.admitted" }),
    running: () => arrived().when({ type: "lease.admitted" }, granted),
    enqueuing: () => givenInvocation({ event: { id: undefined } }),
  },
  kinds: {
    "event.stored": "fact",
    "event.notStored": "fact",
    "invocation.requested": "fact",
    "invocation.ticked": "fact",
    "metadata.found": "fact",
    "metadata.missing": "fact",
    "lease.admitted": "fact",
    "lease.granted": "fact",
    "lease.refused": "fact",
    "lease.failed": "fact",
    "worker.finished": "fact",
    "worker.lost": "fact",
  },
  commands: [],
  keeps: { type: "invocation.ticked" },
  keepsMs: INVOCATION_LIMITS.tickMs,
  answer: ({ saidSoFar }) => {
    const answers = saidSoFar.filter(({ type }) => type !== "invoke");
    return (
      answers.map((said) => ("refusal" in said ? `refused: ${said.refusal.name}` : said.type)).join(", ") || undefined
    );
  },
};

const slot = { type: "slot.granted", at: 0, rules: RULES } as const;
const ended = (code: number) =>
  ({ type: "run.ended", outcome: { kind: "refused", code, name: "No", message: "no" }, at: 0, rules: RULES }) as const;
const ok = { kind: "ok", payload: new Uint8Array(), executedVersion: "1" } as const;
const notStored = { type: "notStored", why: "no" } as const;
const queuedEvent: Row<typeof eventMachine, string> = {
  machine: eventMachine,
  reach: {
    waiting: () => givenEvent(),
    running: () => givenEvent().when(slot),
    succeeding: () => givenEvent().when(slot, { type: "run.ended", outcome: ok, at: 0, rules: RULES }),
    "deferring.storing": () => givenEvent().when(slot, ended(429)),
    "deferring.pausing": () => givenEvent().when(slot, ended(429), notStored),
    "burying.storing": () => givenEvent().when(slot, ended(404)),
    "burying.pausing": () => givenEvent().when(slot, ended(404), notStored),
  },
  kinds: {
    "slot.granted": "tells",
    "event.recalled": "tells",
    "run.ended": "fact",
    stored: "fact",
    notStored: "fact",
    "event.ticked": "fact",
  },
  commands: [slot, { type: "event.recalled" }],
  answer: () => undefined,
};

const source: Source = { stream: "ASYNC_0", subject: "s", name: "s1", isFirst: true };
const configured = (limit: number, isPaused: boolean) => ({ type: "backlog.configured", limit, isPaused }) as const;
const backlog: Row<typeof backlogMachine, string> = {
  machine: backlogMachine,
  reach: {
    active: () => givenBacklog(),
    idle: () => givenBacklog().when({ type: "backlog.counted", depth: 0, sources: [source] }),
    aside: () => givenBacklog().when({ type: "backlog.yielded" }),
    paused: () => givenBacklog({ isPaused: true }),
  },
  kinds: {
    "backlog.configured": "tells",
    "backlog.close": "tells",
    "backlog.yielded": "fact",
    "backlog.vacated": "fact",
    "backlog.stirred": "fact",
    "backlog.counted": "fact",
    "event.taken": "fact",
    "event.ended": "fact",
  },
  commands: [configured(2, false), configured(3, false), configured(2, true), { type: "backlog.close" }],
  answer: () => undefined,
};

const STEP_MS = 50;
const PATIENCE_MS = 120_000;

/** What a command leads to at once, and, where somebody waits for an answer, what it is in the end. */
function cell<L extends AnyStateMachine, Told>(row: Row<L, Told>, state: string, command: EventFromLogic<L>): string {
  const scene = row.reach[state]!();
  const before = contextOf(scene);
  scene.when(command);
  const at: string[] = [];
  if (scene.state !== state) at.push(`→ ${scene.state}`);
  const said = [...new Set(scene.said.map((each) => each.type))].filter(
    (type) => type !== "reply" && type !== "refuse",
  );
  if (said.length > 0) at.push(`says ${said.join(", ")}`);
  const isAsked = row.kinds[command.type as keyof typeof row.kinds] === "asks";
  const now = isAsked ? row.answer(scene) : undefined;
  if (now !== undefined) return [...at, now].join("; ");
  if (isAsked) return [...at, `later ${inTheEnd(row, scene) ?? "SILENCE"}`].join("; ");
  if (at.length === 0) at.push(contextOf(scene) === before ? "nothing to do" : "noted");
  return at.join("; ");
}

/** Time passes, and everybody who is asked refuses. */
function inTheEnd<L extends AnyStateMachine, Told>(row: Row<L, Told>, scene: Scene<L, Told>): string | undefined {
  for (let ms = 0, heard = 0; ms < PATIENCE_MS; ms += STEP_MS) {
    for (; heard < scene.saidSoFar.length; heard++) {
      const brought = row.brings?.(scene.saidSoFar[heard]!);
      if (brought === undefined) continue;
      scene.when(brought);
      const answer = row.answer(scene);
      if (answer !== undefined) return answer;
    }
    if (row.keeps !== undefined && ms % (row.keepsMs ?? TICK_MS) === 0) scene.when(row.keeps);
    scene.after(STEP_MS);
    const answer = row.answer(scene);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

const contextOf = <L extends AnyStateMachine, Told>({ snapshot }: Scene<L, Told>): string =>
  JSON.stringify((snapshot as AnyMachineSnapshot).context, (_, value) => (value instanceof Map ? [...value] : value));

const matrix = <L extends AnyStateMachine, Told>(row: Row<L, Told>) =>
  Object.keys(row.reach).flatMap((state) =>
    row.commands.map((command) => `${state} × ${command.type}: ${cell(row, state, command)}`),
  );

function chart<L extends AnyStateMachine, Told>(
  name: string,
  row: Row<L, Told>,
  expectMatrix: (cells: string[]) => void,
): void {
  describe(name, () => {
    test("every state of the definition is reached", () => {
      expect(Object.keys(row.reach).sort()).toEqual(restingStates(row.machine).sort());
      for (const [state, scene] of Object.entries(row.reach)) expect(scene().state).toBe(state);
    });

    test("every command is tried", () => {
      const commands = Object.entries(row.kinds).flatMap(([type, kind]) => (kind === "fact" ? [] : [type]));
      expect([...new Set(row.commands.map(({ type }) => type))].sort()).toEqual(commands.sort());
    });

    test("each cell is a transition, an answer or a named refusal", () => {
      const cells = matrix(row);
      expect(cells.filter((each) => each.includes("SILENCE"))).toEqual([]);
      expectMatrix(cells);
    });
  });
}

chart("sandbox", sandbox, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
  [
    "init.booting × sandbox.invoke: says refused; refused: SandboxBusy",
    "init.booting × sandbox.stop: → dead; says reported",
    "init.starting × sandbox.invoke: says refused; refused: SandboxBusy",
    "init.starting × sandbox.stop: → dead; says initEnded, reported",
    "idle.ready × sandbox.invoke: → busy.running; says started; later finished: timeout",
    "idle.ready × sandbox.stop: → dead; says reported",
    "idle.frozen × sandbox.invoke: → busy.running; says started; later finished: timeout",
    "idle.frozen × sandbox.stop: → dead; says reported",
    "idle.reset × sandbox.invoke: → busy.init.booting; later finished: timeout",
    "idle.reset × sandbox.stop: → dead; says reported",
    "busy.init.booting × sandbox.invoke: says refused; refused: SandboxBusy",
    "busy.init.booting × sandbox.stop: noted",
    "busy.init.starting × sandbox.invoke: says refused; refused: SandboxBusy",
    "busy.init.starting × sandbox.stop: noted",
    "busy.running × sandbox.invoke: says refused; refused: SandboxBusy",
    "busy.running × sandbox.stop: noted",
    "busy.settling × sandbox.invoke: says refused; refused: SandboxBusy",
    "busy.settling × sandbox.stop: noted",
    "busy.ending × sandbox.invoke: says refused; refused: SandboxBusy",
    "busy.ending × sandbox.stop: noted",
  ]
`),
);
chart("worker", worker, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
    [
      "joining × worker.lease: → ready; says heartbeat; replied: {}",
      "joining × worker.create: refused: NoRoom",
      "joining × worker.create: refused: NoRoom",
      "joining × worker.drain: → gone; says heartbeat",
      "joining × worker.recount: says hosted, heartbeat",
      "joining × worker.givenUp: says stop, hosted; replied: {}",
      "ready × worker.lease: replied: {}",
      "ready × worker.create: replied: {}",
      "ready × worker.create: refused: NoRoom",
      "ready × worker.drain: → gone; says heartbeat",
      "ready × worker.recount: says hosted, heartbeat",
      "ready × worker.givenUp: says stop, hosted; replied: {}",
      "draining.emptying × worker.lease: refused: NoRoom",
      "draining.emptying × worker.create: refused: NoRoom",
      "draining.emptying × worker.create: refused: NoRoom",
      "draining.emptying × worker.drain: nothing to do",
      "draining.emptying × worker.recount: says hosted, heartbeat",
      "draining.emptying × worker.givenUp: says stop, hosted; replied: {}",
    ]
  `),
);
chart("lease of a worker", lease, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
    [
      "known.lease.offered+health.well × worker.place: → known.lease.leasing+health.well; says askLease; later refused: NoRoom",
      "known.lease.offered+health.suspect × worker.place: → known.lease.leasing+health.suspect; says askLease; later refused: NoRoom",
      "known.lease.leasing+health.well × worker.place: later refused: NoRoom",
      "known.lease.leasing+health.suspect × worker.place: later refused: NoRoom",
      "known.lease.leased+health.well × worker.place: replied: {"workerId":"w1"}",
      "known.lease.leased+health.suspect × worker.place: replied: {"workerId":"w1"}",
      "known.lease.draining+health.well × worker.place: refused: NoRoom",
      "known.lease.draining+health.suspect × worker.place: refused: NoRoom",
      "lost.silent × worker.place: refused: NoRoom",
      "lost.telling × worker.place: refused: NoRoom",
    ]
  `),
);
chart("pool", pool, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
  [
    "serving.waiting × pool.want: says place; later refused: ServiceException",
    "serving.waiting × pool.return: nothing to do",
    "serving.waiting × pool.retire: → retiring.waiting",
    "retiring.waiting × pool.want: → serving.waiting; says place; later refused: ServiceException",
    "retiring.waiting × pool.return: nothing to do",
    "retiring.waiting × pool.retire: nothing to do",
  ]
`),
);
chart("counting", counting, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
  [
    "service.rebuilding+time.passing × counting.admit: later replied: {"granted":1}",
    "service.rebuilding+time.passing × counting.release: nothing to do",
    "service.rebuilding+time.passing × counting.held: noted",
    "service.counting.open+time.passing × counting.admit: replied: {"granted":1}",
    "service.counting.open+time.passing × counting.release: nothing to do",
    "service.counting.open+time.passing × counting.held: noted",
    "service.counting.recalling+time.passing × counting.admit: later replied: {"granted":0,"refused":{"name":"TooManyRequestsException","message":"Rate Exceeded.","reason":"ConcurrentInvocationLimitExceeded"}}",
    "service.counting.recalling+time.passing × counting.release: → service.counting.open+time.passing",
    "service.counting.recalling+time.passing × counting.held: noted",
  ]
`),
);
chart("leases of a front end", leases, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
  [
    "holding.waiting × invocation.arrived: says ask, want; later lease.refused",
    "holding.waiting × invocation.left: nothing to do",
    "holding.waiting × leases.recalled: nothing to do",
    "holding.waiting × leases.recount: says held",
    "holding.waiting × leases.superseded: → ending.waiting",
    "ending.waiting × invocation.arrived: says ask, want; later lease.refused",
    "ending.waiting × invocation.left: nothing to do",
    "ending.waiting × leases.recalled: nothing to do",
    "ending.waiting × leases.recount: says held",
    "ending.waiting × leases.superseded: nothing to do",
  ]
`),
);
chart("event", queuedEvent, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
  [
    "waiting × slot.granted: → running",
    "waiting × event.recalled: → returned",
    "running × slot.granted: nothing to do",
    "running × event.recalled: nothing to do",
    "succeeding × slot.granted: nothing to do",
    "succeeding × event.recalled: nothing to do",
    "deferring.storing × slot.granted: nothing to do",
    "deferring.storing × event.recalled: nothing to do",
    "deferring.pausing × slot.granted: nothing to do",
    "deferring.pausing × event.recalled: nothing to do",
    "burying.storing × slot.granted: nothing to do",
    "burying.storing × event.recalled: nothing to do",
    "burying.pausing × slot.granted: nothing to do",
    "burying.pausing × event.recalled: nothing to do",
  ]
`),
);
chart("backlog of a function", backlog, (cells) =>
  expect(cells).toMatchInlineSnapshot(`
    [
      "active × backlog.configured: nothing to do",
      "active × backlog.configured: noted",
      "active × backlog.configured: → paused",
      "active × backlog.close: → gone",
      "idle × backlog.configured: nothing to do",
      "idle × backlog.configured: → active",
      "idle × backlog.configured: → paused",
      "idle × backlog.close: → gone",
      "aside × backlog.configured: nothing to do",
      "aside × backlog.configured: noted",
      "aside × backlog.configured: → paused",
      "aside × backlog.close: → gone",
      "paused × backlog.configured: → active",
      "paused × backlog.configured: → active",
      "paused × backlog.configured: nothing to do",
      "paused × backlog.close: → gone",
    ]
  `),
);
chart("invocation", invocation, (cells) => expect(cells).toEqual([]));

test.each(Object.keys(invocation.reach))(
  "in %s an invocation that hears nothing any more is refused by name, once",
  (state) => {
    const scene = invocation.reach[state]!();
    expect(inTheEnd(invocation, scene)).toBe("refused: ServiceException");
    expect(scene.isOver).toBe(true);
  },
);
