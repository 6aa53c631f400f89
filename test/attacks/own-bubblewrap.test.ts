/** The one program of the host every sandbox can see running: its own first process. */
import { chmod, chown, copyFile, mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { enclosure, Hosted, noIsolation, sh, situations } from "../sandbox/drivers/hosted.ts";
import { programs } from "../support/system.ts";
import { describeUnless, lackingIf } from "../support/unless.ts";

const ordinary = situations.filter(
  ({ title, driver }) => driver === "bubblewrap" && title.startsWith("an ordinary user"),
);

describeUnless(noIsolation ?? lackingIf(ordinary.length === 0, "bubblewrap isn't what isolates here")).each(ordinary)(
  "where bubblewrap belongs to the worker, $title",
  (situation) => {
    let folder: string;
    let bwrap: string;
    let worker: Hosted;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "mayfly-own-"));
      bwrap = join(folder, "bin", "bwrap");
      await mkdir(join(folder, "bin"));
      await copyFile((await programs()).MAYFLY_BWRAP ?? "", bwrap);
      for (const path of [folder, join(folder, "bin"), bwrap]) {
        await chmod(path, 0o755);
        if (situation.uid !== undefined) await chown(path, situation.uid, situation.uid);
      }
      worker = await Hosted.start(situation, { PATH: `${join(folder, "bin")}:${process.env.PATH}` });
    });
    afterAll(async () => {
      await worker?.end();
      await rm(folder, { recursive: true, force: true });
    });

    test("a function can't change the file through /proc/1/exe, or the worker says what it could", async () => {
      const attack = sh(
        "chmod 0 /proc/1/exe; : > /proc/1/exe; touch -d 2001-01-01 /proc/1/exe; cat /proc/1/exe | wc -c",
      );
      const before = await stat(bwrap);
      const [life] = await worker.ask("run", enclosure(attack), 1, "");
      const after = await stat(bwrap);
      expect([after.mode, after.size, after.mtimeMs]).toEqual([before.mode, before.size, before.mtimeMs]);
      expect(life?.stderr).toContain("cannot create /proc/1/exe");
      const told = (await worker.isolation).lacks.some((each) => each.includes("bubblewrap belongs to the user"));
      expect(told).toBe(!situation.privateMounts);
      if (situation.privateMounts) {
        const [next] = await worker.ask("run", enclosure(sh("echo well")), 1, "");
        expect(next?.stdout).toBe("well\n");
      }
    });
  },
);
