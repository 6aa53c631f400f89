/** The verbs of asynchronous events, on a real server where nobody runs them: what is queued stays queued. */
import { once } from "node:events";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Due, Queued, Waiting } from "../../subjects/async.ts";
import { Dead } from "../../subjects/dead.ts";
import * as H from "../../subjects/headers.ts";
import { ASYNC_STREAMS, DEAD_STREAM, RETRY_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { startCli } from "./run-cli.ts";

/** What the queue stores of the function that is killed at its redrive. */
const stored = Queued.subject({ acct: DEFAULT_ACCOUNT, fn: "killed" });

let platform: Platform;
let connection: NatsConnection;
beforeAll(async () => {
  platform = await startPlatform();
  connection = await platform.server.connect();
});
afterAll(async () => platform?.[Symbol.asyncDispose]());

const says = (pattern: RegExp) => expect.stringMatching(pattern);
const mayfly: Platform["mayfly"] = (...args) => platform.mayfly(...args);
const asked = <T>(...args: string[]): Promise<T> => platform.asked<T>(...args);

interface Shown {
  id: string;
  state: string;
  attempt: number;
  qualifier?: string;
  payload?: unknown;
}
interface Letter {
  seq: number;
  requestId: string;
  reason: string;
  attempts: number;
  payload?: unknown;
}

/** Puts a letter among the dead ones, as a poller does. */
async function dies(fn: string, requestId: string, said: Readonly<Record<string, string>> = {}): Promise<number> {
  const written = headers();
  const usual = {
    [H.REQUEST_ID]: requestId,
    [H.ATTEMPT]: "3",
    [H.DEAD_REASON]: "RetriesExhausted",
    [H.ACCEPTED_AT]: "1",
  };
  for (const [name, value] of Object.entries({ ...usual, ...said })) written.set(name, value);
  const subject = Dead.subject({ acct: DEFAULT_ACCOUNT, fn });
  return (await jetstream(connection).publish(subject, JSON.stringify({ requestId }), { headers: written })).seq;
}

const inQueues = async (fn: string) => {
  const { streams } = await jetstreamManager(connection);
  const found: Array<{ subject: string; header: (name: string) => string; data: string }> = [];
  for (const stream of ASYNC_STREAMS) {
    const { state } = await streams.info(stream);
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      const message = await streams.getMessage(stream, { seq });
      if (message === null || !message.subject.split(".").includes(fn)) continue;
      found.push({ subject: message.subject, header: (name) => message.header.get(name), data: message.string() });
    }
  }
  return found;
};

describe("mayfly invoke --async", () => {
  it("prints the request id of an event that is stored", async () => {
    await platform.make("stored");
    const { code, stdout } = await mayfly(["invoke", "stored", '{"n":1}', "--async"], { as: "mayfly" });
    expect({ code, stdout }).toEqual({ code: 0, stdout: says(/^[0-9a-f-]{36}\n$/) });
    const [event] = await inQueues("stored");
    expect(event?.data).toBe('{"n":1}');
    expect(event?.header(H.REQUEST_ID)).toBe(stdout.trim());
    expect(await asked("invoke", "stored", "--async", "--qualifier", "$LATEST")).toEqual({
      requestId: expect.any(String),
    });
    expect((await inQueues("stored")).map(({ subject }) => subject.split(".").at(-1))).toContain("latest");
  });

  it("refuses what could never run: no function, no JSON, too much", async () => {
    expect(await mayfly(["invoke", "nobody", "{}", "--async"])).toMatchObject({
      code: 3,
      stderr: says(/ResourceNotFoundException/),
    });
    expect(await mayfly(["invoke", "stored", "{", "--async"])).toMatchObject({
      code: 3,
      stderr: says(/InvalidRequestContentException/),
    });
    const input = JSON.stringify("x".repeat(1_048_577));
    expect(await mayfly(["invoke", "stored", "-", "--async"], { input })).toMatchObject({
      code: 3,
      stderr: says(/RequestTooLargeException/),
    });
  });
});

describe("mayfly async", () => {
  it("shows what is queued, what waits and what is due, one event whole, and the counts", async () => {
    await platform.make("shown");
    const { requestId } = await asked<{ requestId: string }>("invoke", "shown", '{"n":2}', "--async");
    const address = { acct: DEFAULT_ACCOUNT, shard: "0", fn: "shown", requestId: "waits", sequence: "7" };
    const due = new Date(Date.now() + 3_600_000).toISOString();
    const waiting = headers();
    waiting.set("Nats-Schedule", `@at ${due}`);
    waiting.set("Nats-Schedule-Target", Due.subject(address));
    waiting.set(H.ATTEMPT, "2");
    waiting.set(H.QUALIFIER, "live");
    await jetstream(connection).publish(Waiting.subject(address), "{}", {
      headers: waiting,
    });
    const shown = await asked<Shown[]>("async", "show", "shown");
    expect(shown).toMatchObject([
      { id: requestId, state: "queued", attempt: 1 },
      { id: "waits", state: "waiting", attempt: 2, qualifier: "live", dueAt: Date.parse(due) },
    ]);
    expect(await asked("async", "show", "shown", requestId)).toMatchObject({ id: requestId, payload: { n: 2 } });
    const listed = await asked<Array<{ FunctionName: string }>>("async", "ls");
    expect(listed.find(({ FunctionName }) => FunctionName === "shown")).toEqual({
      FunctionName: "shown",
      queued: 1,
      waiting: 1,
      dead: 0,
      Paused: false,
    });
    const asPerson = { as: "mayfly" } as const;
    expect((await mayfly(["async", "show", "shown"], asPerson)).stdout).toMatch(/^waits +waiting +2 /m);
    expect((await mayfly(["async", "ls"], asPerson)).stdout).toMatch(/^shown +1 +1 +0 +default/m);
    expect(await mayfly(["async", "show", "shown", "gone"])).toMatchObject({
      code: 3,
      stderr: says(/ResourceNotFoundException: no event gone of shown/),
    });
  });

  it("cancels events, waiting ones too, and keeps them as dead letters", async () => {
    await platform.make("cancelled");
    const { requestId } = await asked<{ requestId: string }>("invoke", "cancelled", '{"n":3}', "--async");
    await asked("invoke", "cancelled", '{"n":4}', "--async", "--qualifier", "$LATEST");
    expect(await mayfly(["async", "cancel", "cancelled"])).toMatchObject({ code: 2 });
    expect(await mayfly(["async", "cancel", "cancelled", requestId], { as: "mayfly" })).toMatchObject({ code: 3 });
    expect(await asked("async", "cancel", "cancelled", requestId)).toEqual({ cancelled: [requestId] });
    expect(await mayfly(["async", "cancel", "cancelled", requestId])).toMatchObject({ code: 3 });
    expect(await inQueues("cancelled")).toHaveLength(1);
    const address = { acct: DEFAULT_ACCOUNT, shard: "0", fn: "cancelled", requestId: "later", sequence: "7" };
    const waiting = headers();
    waiting.set("Nats-Schedule", `@at ${new Date(Date.now() + 3_600_000).toISOString()}`);
    waiting.set("Nats-Schedule-Target", Due.subject(address));
    await jetstream(connection).publish(Waiting.subject(address), "{}", { headers: waiting });
    const { cancelled } = await asked<{ cancelled: string[] }>("async", "cancel", "cancelled", "--all");
    expect(cancelled).toHaveLength(2);
    expect(await asked("async", "show", "cancelled")).toEqual([]);
    const letters = await asked<Letter[]>("dead", "ls", "cancelled");
    expect(letters.map(({ requestId: id, reason }) => [id, reason])).toEqual([
      [requestId, "Cancelled"],
      [cancelled[0], "Cancelled"],
      ["later", "Cancelled"],
    ]);
    const { state } = await (await jetstreamManager(connection)).streams.info(RETRY_STREAM, { subjects_filter: ">" });
    expect(Object.keys(state.subjects ?? {}).filter((subject) => subject.includes("cancelled"))).toEqual([]);
  });

  it("pauses and resumes a function", async () => {
    await platform.make("paused");
    expect((await mayfly(["async", "pause", "paused"])).stdout).toBe("paused is paused\n");
    expect((await mayfly(["async", "ls"])).stdout).toMatch(/^paused .* paused$/m);
    expect(await asked("async", "resume", "paused")).toEqual({ Paused: false });
    expect(await mayfly(["async", "pause", "nobody"])).toMatchObject({ code: 3 });
  });
});

describe("mayfly dead", () => {
  it("lists and shows letters: why, how often, and what it was", async () => {
    await dies("letters", "r1", { [H.ERROR_TYPE]: "TypeError", [H.ERROR_MESSAGE]: "x is not a function" });
    const seq = await dies("letters", "r2", { [H.DEAD_REASON]: "EventAgeExceeded" });
    expect(await asked<Letter[]>("dead", "ls", "letters")).toMatchObject([
      { requestId: "r1", reason: "RetriesExhausted", attempts: 3, errorType: "TypeError" },
      { requestId: "r2", reason: "EventAgeExceeded" },
    ]);
    expect(await asked<Letter[]>("dead", "ls", "letters", "--filter", "error=TypeError")).toHaveLength(1);
    expect(await asked<Letter[]>("dead", "ls", "letters", "--filter", "message=not a")).toHaveLength(1);
    expect(await asked<Letter[]>("dead", "ls", "letters", "--filter", "older=1h")).toEqual([]);
    expect((await mayfly(["dead", "ls"], { as: "mayfly" })).stdout).toMatch(/^letters +2$/m);
    expect((await mayfly(["dead", "ls", "letters", "--limit", "1"])).stderr).toMatch(/there are more/);
    expect(await asked("dead", "show", "letters", String(seq))).toMatchObject({ seq, payload: { requestId: "r2" } });
    expect(await mayfly(["dead", "show", "letters", "r3"])).toMatchObject({ code: 3 });
    expect(await mayfly(["dead", "ls", "letters", "--filter", "colour=red"])).toMatchObject({ code: 2 });
    expect(await mayfly(["dead", "ls", "no.name"])).toMatchObject({ code: 2 });
  });

  it("redrives: the event is in the queue again as if just accepted, under its id, and its letter is gone", async () => {
    await platform.make("redriven");
    await dies("redriven", "r1", { [H.TRACE_ID]: "Root=1-a", [H.SETBACKS]: "4", [H.CLIENT_CONTEXT]: "e30=" });
    await dies("redriven", "r2", { [H.QUALIFIER]: "$LATEST", [H.DEAD_REASON]: "Cancelled" });
    await dies("other", "r1");
    const dry = await mayfly(["dead", "redrive", "redriven", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stdout: "2 events would be redriven\n" });
    expect(await inQueues("redriven")).toEqual([]);
    expect(await mayfly(["dead", "redrive", "redriven", "r2", "r7", "--dry-run"])).toMatchObject({
      code: 3,
      stdout: "1 event would be redriven\n",
      stderr: says(/no dead letters of redriven: r7/),
    });
    expect(await mayfly(["dead", "purge", "redriven", "r7"])).toMatchObject({ code: 3 });
    expect(await mayfly(["dead", "redrive", "redriven", "--filter", "reason=RetriesExhausted"])).toMatchObject({
      code: 0,
      stdout: "1 event redriven\n",
    });
    const [event] = await inQueues("redriven");
    expect(event?.data).toBe('{"requestId":"r1"}');
    const told = [H.REQUEST_ID, H.TRACE_ID, H.CLIENT_CONTEXT, H.ATTEMPT, H.ACCEPTED_AT, H.SETBACKS, H.DEAD_REASON];
    expect(told.map((name) => event?.header(name))).toEqual(["r1", "Root=1-a", "e30=", "", "", "", ""]);
    expect(await asked<Letter[]>("dead", "ls", "redriven")).toMatchObject([{ requestId: "r2" }]);
    expect(await asked("dead", "redrive", "redriven", "--rate", "100")).toMatchObject({
      redriven: [{ requestId: "r2" }],
    });
    expect((await inQueues("redriven")).map(({ subject }) => subject.split(".").at(-1))).toEqual([
      "redriven",
      "latest",
    ]);
    expect(await asked<Letter[]>("dead", "ls", "other")).toHaveLength(1);
  });

  it("redrives to another version, which must exist", async () => {
    await platform.make("versioned");
    await platform.call("PublishVersion", { FunctionName: "versioned" });
    await dies("versioned", "r1");
    expect(await mayfly(["dead", "redrive", "versioned", "--to-version", "7"])).toMatchObject({
      code: 3,
      stderr: says(/ResourceNotFoundException/),
    });
    await asked("dead", "redrive", "versioned", "r1", "--to-version", "1");
    expect((await inQueues("versioned")).map(({ subject }) => subject.split(".").at(-1))).toEqual(["1"]);
  });

  it("stores an event once when a redrive stopped between storing it and deleting its letter", async () => {
    await platform.make("halfway");
    const seq = await dies("halfway", "r1");
    await platform.call("GetFunction", { FunctionName: "halfway" });
    const halves = headers();
    halves.set("Nats-Msg-Id", `redrive-${seq}`);
    await jetstream(connection).publish(`mayfly.${DEFAULT_ACCOUNT}.enqueue.halfway`, "{}", { headers: halves });
    await asked("dead", "redrive", "halfway");
    expect(await inQueues("halfway")).toHaveLength(1);
    expect(await asked("dead", "ls", "halfway")).toEqual([]);
  });

  it("loses and doubles nothing when it is killed, and is begun again", async () => {
    await platform.make("killed");
    const ids = Array.from({ length: 60 }, (_, at) => `r${at}`);
    for (const id of ids) await dies("killed", id);
    const { user, password } = platform.server.credentials.platform;
    const MAYFLY_NATS_URL = platform.server.url.replace("://", `://${user}:${password}@`);
    const begun = Promise.withResolvers<void>();
    const subscription = connection.subscribe(stored, { max: 20, callback: () => {} });
    void subscription.closed.then(() => begun.resolve());
    const redriving = startCli(["dead", "redrive", "killed", "--rate", "200"], { env: { MAYFLY_NATS_URL } });
    const ended = once(redriving, "exit");
    await begun.promise;
    redriving.kill("SIGKILL");
    await ended;
    const letters = (await asked<Letter[]>("dead", "ls", "killed", "--limit", "100")).map((each) => each.requestId);
    const queued = (await inQueues("killed")).map(({ header }) => header(H.REQUEST_ID));
    expect(letters.length).toBeLessThan(60);
    expect([...new Set([...queued, ...letters])].sort()).toEqual([...ids].sort());
    await asked("dead", "redrive", "killed");
    expect((await inQueues("killed")).map(({ header }) => header(H.REQUEST_ID)).sort()).toEqual([...ids].sort());
    expect(await asked("dead", "ls", "killed")).toEqual([]);
  });

  it("leaves a letter that can't be stored in the queue, and says why", async () => {
    await platform.make("full");
    await dies("full", "r1");
    const { streams } = await jetstreamManager(connection);
    const limited = async (max_msgs: number) => {
      for (const stream of ASYNC_STREAMS) await streams.update(stream, { max_msgs });
    };
    await limited(1);
    try {
      for (const fn of ["full", "full"]) await mayfly(["invoke", fn, "--async"]);
      expect(await mayfly(["dead", "redrive", "full"])).toMatchObject({
        code: 3,
        stdout: "0 events redriven\n",
        stderr: says(/TooManyRequestsException/),
      });
    } finally {
      await limited(-1);
    }
    expect(await asked<Letter[]>("dead", "ls", "full")).toHaveLength(1);
  });

  it("purges what is named, filtered, or all of it, and nothing by accident", async () => {
    for (const id of ["r1", "r2", "r3"]) await dies("purged", id);
    expect(await mayfly(["dead", "purge", "purged"])).toMatchObject({ code: 2 });
    expect(await mayfly(["dead", "purge", "purged", "--all"], { as: "mayfly" })).toMatchObject({ code: 3 });
    expect(await asked("dead", "purge", "purged", "r1")).toMatchObject({ deleted: [{ requestId: "r1" }] });
    expect((await mayfly(["dead", "purge", "purged", "--all", "--dry-run"])).stdout).toBe(
      "2 events would be deleted\n",
    );
    expect((await mayfly(["dead", "purge", "purged", "--all"])).stdout).toBe("2 events deleted\n");
    const { state } = await (await jetstreamManager(connection)).streams.info(DEAD_STREAM, { subjects_filter: ">" });
    expect(Object.keys(state.subjects ?? {}).some((subject) => subject.endsWith(".purged"))).toBe(false);
  });
});

describe("mayfly config set", () => {
  it("sets how events are handled, part by part, and takes it back", async () => {
    await platform.make("handled");
    const arn = `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:letters-taker`;
    await platform.make("letters-taker");
    const set = (...words: string[]) => asked<Record<string, unknown>>("config", "set", "handled", ...words);
    expect(await set("--retries", "0", "--max-age", "1h")).toEqual({
      events: expect.objectContaining({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 3600 }),
    });
    expect(await set("--on-success", "subject:orders.done", "--async-concurrency", "4")).toMatchObject({
      events: { DestinationConfig: { OnSuccess: { Destination: "arn:aws:nats:::subject/orders.done" } } },
      queue: { MaximumConcurrency: 4 },
    });
    expect(await set("timeout=9", "--on-failure", "function:letters-taker")).toMatchObject({
      Timeout: 9,
      events: {
        MaximumRetryAttempts: 0,
        DestinationConfig: {
          OnSuccess: { Destination: "arn:aws:nats:::subject/orders.done" },
          OnFailure: { Destination: arn },
        },
      },
    });
    expect(await set("--on-success", "none")).toMatchObject({ events: { DestinationConfig: { OnSuccess: {} } } });
    expect(await asked("config", "unset", "handled", "retries", "async-concurrency")).toMatchObject({
      events: { MaximumEventAgeInSeconds: 3600, DestinationConfig: { OnFailure: { Destination: arn } } },
      queue: { Paused: false },
    });
    expect(await asked("config", "unset", "handled", "max-age", "on-failure")).toEqual({ events: {} });
    expect(await platform.call("GetFunctionEventInvokeConfig", { FunctionName: "handled" })).toMatchObject({
      error: "ResourceNotFoundException",
    });
  });

  it("refuses what can't be meant, and says what could", async () => {
    expect(await mayfly(["config", "set", "handled"])).toMatchObject({ code: 2 });
    expect(await mayfly(["config", "set", "handled", "--retries", "3"])).toMatchObject({ code: 2 });
    expect(await mayfly(["config", "set", "handled", "--on-failure", "queue:x"])).toMatchObject({
      code: 2,
      stderr: says(/subject:<subject>, stream:/),
    });
    expect(await mayfly(["config", "set", "handled", "--on-failure", "subject:mayfly.x"])).toMatchObject({
      code: 3,
      stderr: says(/InvalidParameterValueException/),
    });
    expect(await mayfly(["config", "set", "nobody", "--retries", "1"])).toMatchObject({ code: 3 });
  });
});
