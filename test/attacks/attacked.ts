/**
 * A whole system under attack: each attack is a function of its own, deployed and invoked as anybody's would be, beside a
 * neighbour on the same worker. What an attack says about itself counts for little: tests look from outside, and
 * `isUnharmed` asks neighbour and host whether they noticed.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { headers, type Msg, type NatsConnection } from "nats";
import { expect } from "vitest";
import { linesIn } from "../../subjects/logs.ts";
import { isolating, noIsolation } from "../sandbox/drivers/hosted.ts";
import { api, deploy, type FunctionPlan } from "../support/functions.ts";
import type { Surroundings } from "../support/surroundings.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { describeUnless, lackingIf } from "../support/unless.ts";

/** Stands in the neighbour's environment, memory and /tmp, and nowhere else but in this file's memory. */
export const SECRET = `secret-of-the-neighbour-${process.pid}`;

const NEIGHBOUR = `
const { readFileSync, writeFileSync } = require("node:fs");
const remembered = process.env.SECRET;
writeFileSync("/tmp/secret", remembered);
let calls = 0;
exports.handler = async () => {
  calls += 1;
  return { calls, intact: remembered === process.env.SECRET && readFileSync("/tmp/secret", "utf8") === remembered };
};
`;

/** What came of an invocation: the function's answer, or the error it ended with. */
export interface Outcome {
  readonly value: unknown;
  readonly error: { readonly errorType: string; readonly errorMessage: string } | undefined;
  /** A refusal by the platform, which no function may bring about. */
  readonly refused: string | undefined;
  readonly reply: Msg;
}

export type Attack = Partial<Omit<FunctionPlan, "name" | "files">> & { readonly files?: FunctionPlan["files"] };

export interface Attacked extends AsyncDisposable {
  readonly system: RunningSystem;
  readonly nats: NatsConnection;
  /** Deploys the body of a Node.js handler (it has `require`, `event`, `context`); gives the function's name. */
  node(body: string, plan?: Attack): Promise<string>;
  /** The same of a Python handler (it has `event`, `context`, and what it imports). */
  python(body: string, plan?: Attack): Promise<string>;
  /** A runtime of its own: a Node.js program at `bootstrap`. */
  bootstrap(program: string, plan?: Attack): Promise<string>;
  invoke(fn: string, event?: unknown, sent?: Readonly<Record<string, string>>): Promise<Outcome>;
  /** The lines of a function's log so far, once `until` is among them. */
  logUntil(fn: string, until: RegExp): Promise<string[]>;
  /** Fails unless the neighbour answers from the sandbox it always had, and nothing of the system had to be started again. */
  isUnharmed(): Promise<void>;
  /** Host pids of what has `mark` on its command line. */
  processes(mark: string): Promise<number[]>;
  remove(fn: string): Promise<void>;
}

let made = 0;

/**
 * Attacks run under each driver that isolates here. Only those on what workers keep for later (bytecode) are tried under
 * the default alone. Under "process" nothing is tried: it promises no isolation, so every attack would succeed.
 */
export const underEachDriver = describeUnless(noIsolation).each(isolating);

export async function startAttacked(
  env: Readonly<Record<string, string>> = {},
  around?: Surroundings,
): Promise<Attacked> {
  // One zone, so that all share one worker.
  const system = await startMayfly({
    env: { MAYFLY_ZONES: "a", ...env },
    ...(around === undefined ? {} : { around }),
  });
  const [nats, platform] = [await system.connect(), await system.connect("platform")];
  const lines = new Map<string, string[]>();
  nats.subscribe("mayfly.*.logs.>", {
    callback: (_, message) => {
      const fn = message.subject.split(".")[3] ?? "";
      const known = lines.get(fn) ?? [];
      for (const line of linesIn(message.string())) {
        if (known.length < MAX_LINES || PLATFORM_LINE.test(line)) known.push(line);
      }
      lines.set(fn, known);
    },
  });
  /** What was said of a worker that was silent for two beats: its sandboxes then count as lost, the neighbour's too. */
  const losses: string[] = [];
  platform.subscribe("mayfly.state.lease.>", {
    callback: (_, message) => {
      const { id, from, to } = message.json<{ id: string; from: string; to: string }>();
      if (from !== "" && (to === "gone" || to === "lost.silent")) losses.push(`${id}: ${from} → ${to}`);
    },
  });
  await deploy(platform, { name: "neighbour", files: { "index.js": NEIGHBOUR }, environment: { SECRET } });
  const invoke = async (fn: string, event: unknown = {}, sent: Readonly<Record<string, string>> = {}) => {
    const with_ = headers();
    for (const [name, value] of Object.entries(sent)) with_.set(name, value);
    const reply = await nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000, headers: with_ });
    return outcomeOf(reply);
  };
  const deployed = async (files: FunctionPlan["files"], plan: Attack = {}) => {
    const name = `attack-${++made}`;
    await deploy(platform, { memory: 256, timeout: 10, ...plan, name, files: { ...files, ...plan.files } });
    return name;
  };
  const first = await invoke("neighbour");
  expect(first.value, `${first.reply.string()} ${first.reply.headers}`).toEqual({ calls: 1, intact: true });
  let calls = 1;
  return {
    system,
    nats,
    node: (body, plan) =>
      deployed({ "index.js": `exports.handler = async (event, context) => {\n${body}\n};\n` }, plan),
    python: (body, plan) =>
      deployed(
        { "index.py": `def handler(event, context):\n${body.replace(/^/gm, "    ")}\n` },
        { runtime: PYTHON ?? "", ...plan },
      ),
    bootstrap: (program, plan) =>
      deployed({ bootstrap: `#!/var/lang/bin/node\n${program}\n` }, { runtime: "provided.al2023", ...plan }),
    invoke,
    async logUntil(fn, until) {
      const of = () => lines.get(fn) ?? [];
      await expect.poll(() => of().some((line) => until.test(line)), { timeout: 10_000 }).toBe(true);
      return of();
    },
    async isUnharmed() {
      const { value, reply } = await invoke("neighbour");
      calls += 1;
      expect(losses, "an attack silenced the worker, or this machine is too slow for its heartbeats").toEqual([]);
      expect(value, `${reply.string()} ${reply.headers}`).toEqual({ calls, intact: true });
      expect(sandboxOf(reply)).toBe(sandboxOf(first.reply));
      expect(system.output()).not.toContain("starting it again");
    },
    async processes(mark) {
      const pids = (await readdir("/proc")).filter((each) => /^\d+$/.test(each));
      const words = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
      return pids.filter((_, index) => words[index]?.includes(mark)).map(Number);
    },
    async remove(fn) {
      await api(platform, "DeleteFunction", { FunctionName: fn });
    },
    [Symbol.asyncDispose]: () => system[Symbol.asyncDispose](),
  };
}

/** More than any attack needs to be judged by, so that a flood of log doesn't fill the test. */
const MAX_LINES = 20_000;
const PLATFORM_LINE = /^(START|END|REPORT|LOGS_DROPPED) /;

const found = ["3.14", "3.13", "3.12", "3.11", "3.10", "3.9"].find((each) => existsSync(`/usr/bin/python${each}`));
/** A Python of the host, for attacks that need system calls by number; undefined where there is none. */
export const PYTHON = found === undefined ? undefined : `python${found}`;
export const noPython = lackingIf(PYTHON === undefined, "there is no Python in /usr/bin");

function outcomeOf(reply: Msg): Outcome {
  const isError = (reply.headers?.get("X-Amz-Function-Error") ?? "") !== "";
  const refused = reply.headers?.get("Nats-Service-Error") || undefined;
  const body = parsed(reply);
  return {
    value: isError || refused ? undefined : body,
    error: isError ? (body as Outcome["error"]) : undefined,
    refused,
    reply,
  };
}

function parsed(reply: Msg): unknown {
  try {
    return reply.json();
  } catch {
    return reply.string();
  }
}

const sandboxOf = (reply: Msg): string => reply.headers?.get("Mayfly-Sandbox") ?? "none";
