/** Dead letters as their owner meets them: an event that dies, is run again by the CLI, and dies again or does not. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

const FILES = {
  "index.mjs": `
    export const picky = async (event) => { if (event.bad) throw new TypeError("bad event"); return "fine"; };
    export const hangs = () => new Promise((resolve) => setTimeout(resolve, 60_000));
    export const exits = () => process.exit(3);
  `,
};

let system: RunningSystem;
beforeAll(async () => {
  system = await startMayfly();
  const platform = await system.connect("platform");
  await deploy(platform, { name: "picky", files: FILES, handler: "index.picky" });
  await deploy(platform, { name: "hangs", files: FILES, handler: "index.hangs", timeout: 1 });
  await deploy(platform, { name: "exits", files: FILES, handler: "index.exits" });
});
afterAll(() => system?.[Symbol.asyncDispose]());

interface Letter {
  readonly seq: number;
  readonly requestId: string;
  readonly reason: string;
  readonly attempts: number;
}

async function asked<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await system.mayfly(...args, "--json");
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** A function's letters, once there is one with a number above `after`. */
async function letters(after: number, fn = "picky"): Promise<Letter[]> {
  let found: Letter[] = [];
  const latest = async () => {
    found = await asked<Letter[]>("dead", "ls", fn);
    return found.at(-1)?.seq ?? 0;
  };
  await expect.poll(latest, { timeout: 20_000, interval: 200 }).toBeGreaterThan(after);
  return found;
}

test("an event that dies is dead-lettered under its request id; redriven at once, it dies again and is not lost", async () => {
  await asked("config", "set", "picky", "--retries", "0");
  const { requestId } = await asked<{ requestId: string }>("invoke", "picky", '{"bad":true}', "--async");
  const [letter] = await letters(0);
  expect(letter).toMatchObject({ requestId, reason: "RetriesExhausted", attempts: 1, errorType: "TypeError" });
  expect(await asked("dead", "redrive", "picky")).toEqual({ redriven: [{ seq: letter!.seq, requestId }] });
  expect(await letters(letter!.seq)).toMatchObject([{ requestId, reason: "RetriesExhausted" }]);
});

test.each([
  ["hangs", "Sandbox.Timedout"],
  ["exits", "Runtime.ExitError"],
])("one whose function %s has used up an attempt, and is dead-lettered with what happened", async (fn, errorType) => {
  await asked("config", "set", fn, "--retries", "0");
  await asked("invoke", fn, "{}", "--async");
  expect(await letters(0, fn)).toMatchObject([{ reason: "RetriesExhausted", attempts: 1, errorType }]);
});

test("a paused function keeps its events; they are listed, and run once it is resumed", async () => {
  await asked("async", "pause", "picky");
  const { requestId } = await asked<{ requestId: string }>("invoke", "picky", '{"bad":false}', "--async");
  expect(await asked("async", "show", "picky")).toMatchObject([{ id: requestId, state: "queued", attempt: 1 }]);
  await asked("async", "resume", "picky");
  await expect.poll(() => asked<unknown[]>("async", "show", "picky"), { timeout: 20_000, interval: 200 }).toEqual([]);
});
