/** What a running worker knows of the runtimes of its host, while they come and go. */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RememberedRuntimes } from "../../actors/sandbox/runtimes/remembered.ts";
import { followRuntimes } from "../../bin/run/runtimes.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "mayfly-runtimes-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** `list` gives what each call of it is told to. */
function given() {
  const calls: Array<PromiseWithResolvers<readonly string[]>> = [];
  const called: string[] = [];
  let heard = Promise.withResolvers<void>();
  const list = () => {
    const call = Promise.withResolvers<readonly string[]>();
    calls.push(call);
    heard.resolve();
    heard = Promise.withResolvers();
    return call.promise;
  };
  const runtimes = { list, forget: () => void called.push("forget") } as unknown as RememberedRuntimes;
  const until = async (count: number) => {
    while (calls.length < count) await heard.promise;
  };
  return { runtimes, calls, called, until };
}

/** As it is installed: made beside, and put in its place in one step. */
async function install(name: string): Promise<void> {
  const draft = join(home, "runtimes", `.installing-${name}`);
  await mkdir(draft);
  await rename(draft, join(home, "runtimes", name));
}

test("what is installed while they are first listed is known once they are", async () => {
  const { runtimes, calls, called, until } = given();
  const changed = Promise.withResolvers<void>();
  const following = followRuntimes(home, runtimes, changed.resolve);
  await until(1);
  await install("ruby3.4");
  await changed.promise;
  expect(called).toContain("forget");
  calls[0]?.resolve(["nodejs24.x"]);
  await until(2);
  calls[1]?.resolve(["nodejs24.x", "ruby3.4"]);
  const { now, stop } = await following;
  stop();
  expect(now()).toEqual(["nodejs24.x", "ruby3.4"]);
});

test("what comes while they are listed once more is listed after that, and drafts are nothing", async () => {
  const { runtimes, calls, until } = given();
  let heard = Promise.withResolvers<void>();
  const following = followRuntimes(home, runtimes, () => {
    heard.resolve();
    heard = Promise.withResolvers();
  });
  await until(1);
  calls[0]?.resolve([]);
  const { now, stop } = await following;
  for (const name of ["a", "b", "c"]) {
    const change = heard.promise;
    await install(name);
    await change;
  }
  await until(2);
  calls[1]?.resolve(["a"]);
  await until(3);
  calls[2]?.resolve(["a", "b", "c"]);
  await expect.poll(now).toEqual(["a", "b", "c"]);
  expect(calls).toHaveLength(3);
  stop();
});
