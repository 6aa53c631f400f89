/** A worker that may have no more descriptors makes no sandbox, says so, and lives on: the next one finds some again. */
import { expect, test } from "vitest";
import { describeUnless, lackingIf } from "../../support/unless.ts";
import { enclosure, Hosted, noIsolation, noTraces, sh, usualSituations } from "./hosted.ts";

const noRoot = lackingIf(process.geteuid?.() !== 0, "only root gives others fewer descriptors");
/** The fewest that sandboxes may be promised theirs with. */
const ALL = 1024;
/** More than any driver needs at once to begin a life. */
const ENOUGH = 60;

describeUnless(noIsolation ?? noRoot).each([
  ...usualSituations,
  { title: "root with plain processes", driver: "process" as const, privateMounts: false },
])("a worker that is $title", (situation) => {
  test("goes on, however few descriptors are left", async () => {
    const worker = await Hosted.start({ ...situation, enter: ["prlimit", `--nofile=${ALL}:${ALL}`] });
    const run = () => worker.ask("run", enclosure(sh("exit 3")), 1, "");
    try {
      let failed = 0;
      for (let left = 0; left < ENOUGH; left += 4) {
        await worker.ask("leave", left);
        const came = await run().catch((error: Error) => error);
        // Never one who is gone.
        if (came instanceof Error) expect(came.name, `${left}: ${came.message}`).not.toBe("Gone");
        if (came instanceof Error) failed += 1;
      }
      expect(failed).toBeGreaterThan(0);
      await worker.ask("leave", ALL);
      expect(await run()).toMatchObject([{ exit: { code: 3 } }]);
    } finally {
      await worker.end();
    }
    await expect.poll(() => worker.traces(), { timeout: 10_000 }).toEqual(noTraces);
  });
});
