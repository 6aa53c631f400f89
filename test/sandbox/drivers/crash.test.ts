import { mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { BubblewrapDriver } from "../../../actors/sandbox/drivers/bubblewrap/bubblewrap.ts";
import { describeUnless } from "../../support/unless.ts";
import { enclosure, Hosted, noIsolation, noTraces, sh, usualSituations } from "./hosted.ts";

/** Long enough for a watchdog on a busy machine; it takes some 50 ms on an idle one. */
const soon = { timeout: 10_000, interval: 20 };
const stubborn = sh("trap '' TERM HUP INT; for i in 1 2 3; do setsid sleep 100 & done; echo ready >&3; sleep 100");

describeUnless(noIsolation).each(usualSituations)("when a worker that is $title dies by SIGKILL", (situation) => {
  let worker: Hosted;

  afterEach(() => worker.end());

  test("its running sandboxes, their mounts, groups and folders go too", async () => {
    worker = await Hosted.start(situation);
    const places = (await worker.isolation).latePlacement ? { latePlaces: ["/var/task"] } : {};
    const specs = [1, 2, 3].map(() => enclosure(stubborn, places));
    await Promise.all(specs.map((spec) => worker.ask("start", spec)));
    const [{ id = "" } = {}] = specs;
    await worker.ask("freeze", id);
    if (places.latePlaces) await worker.ask("place", id, [{ from: import.meta.dirname, to: "/var/task" }]);
    expect(worker.traces().processes).toBeGreaterThanOrEqual(6);
    await worker.killHard();
    await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
  });

  test("while sandboxes are beginning, none of them goes on", async () => {
    // Of the default each moment, of the others two: what they have in common finds the processes.
    for (const begun of situation.driver === "bubblewrap" ? [0, 1, 2, 3, 4] : [1, 4]) {
      worker = await Hosted.start(situation);
      const beginning = Array.from({ length: 6 }, () => worker.ask("begin", enclosure(stubborn)).catch(() => {}));
      // Wherever the others are in their start when this many have finished theirs.
      await Promise.all(beginning.slice(0, begun));
      await worker.killHard();
      await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
      await worker.end();
    }
  });
});

describeUnless(noIsolation)("the watchdog of a worker", () => {
  test("stays until the worker has ended, whoever asks all processes of its service to end", async () => {
    const worker = await Hosted.start({ title: "", driver: "bubblewrap", privateMounts: false });
    try {
      await worker.ask("start", enclosure(stubborn));
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) await worker.signalWatchdog(signal);
      await worker.killHard();
      await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
    } finally {
      await worker.end();
    }
  });
});

describeUnless(noIsolation).each(usualSituations)("a worker that is $title", (situation) => {
  let worker: Hosted;

  afterEach(() => worker.end());

  test("goes on without what can be made anew, and says so when it can't", async () => {
    worker = await Hosted.start(situation);
    await worker.isolation;
    for (const group of worker.emptyGroups()) await rmdir(group).catch(() => {});
    await worker.ask("run", enclosure(sh("exit 0")), 1, "");
    const lost = worker.ask("lost");
    const [folder = ""] = await readdir(worker.home);
    await rm(join(worker.home, folder), { recursive: true });
    await expect(worker.ask("run", enclosure(sh("exit 0")), 1, "")).rejects.toThrow();
    expect(await lost).toBe(`${join(worker.home, folder)} was removed by somebody`);
  });
});

describeUnless(noIsolation)("what a worker that died together with its watchdog left", () => {
  test("is reaped when the next one starts", async () => {
    const worker = await Hosted.start({ title: "", driver: "bubblewrap", privateMounts: false });
    try {
      await worker.ask("start", enclosure(stubborn));
      await worker.signalWatchdog("SIGKILL");
      await worker.killHard();
      await expect.poll(() => worker.traces().folders, soon).toBe(1);
      const next = new BubblewrapDriver({ home: worker.home });
      await next.probe();
      await next.close();
      expect(worker.traces()).toEqual(noTraces);
    } finally {
      await worker.end();
    }
  });

  test("is told from what a living one owns", async () => {
    const worker = await Hosted.start({ title: "", driver: "bubblewrap", privateMounts: false });
    try {
      const spec = enclosure(sh("echo ready >&3; sleep 100"));
      await worker.ask("start", spec);
      await mkdir(join(worker.home, "somebody-elses"));
      const next = new BubblewrapDriver({ home: worker.home });
      await next.probe();
      await next.close();
      expect(worker.traces().processes).toBeGreaterThan(0);
      expect((await readdir(worker.home)).sort()).toEqual([expect.stringMatching(/^mayfly-/), "somebody-elses"]);
      expect((await stat(join(worker.home, "somebody-elses"))).isDirectory()).toBe(true);
      await rm(join(worker.home, "somebody-elses"), { recursive: true });
    } finally {
      await worker.end();
    }
  });
});
