/** What every driver lets be done to a sandbox that runs, in each situation a worker may be in. */
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EnclosureSpec } from "../../../actors/sandbox/drivers/driver.ts";
import { canHideMounts } from "../../../actors/sandbox/drivers/mounter.ts";
import { describeUnless } from "../../support/unless.ts";
import { enclosure, Hosted, node, noIsolation, noTraces, sh, usualSituations } from "./hosted.ts";

/** Counts milliseconds, and says how many when asked. */
const counting = node(`const s = new (require("net").Socket)({ fd: 3 });
  let count = 0;
  setInterval(() => count++, 1);
  s.on("data", () => s.write(String(count)));
  s.write("0");`);

describeUnless(noIsolation).each(usualSituations)("a running sandbox of a worker that is $title", (situation) => {
  let worker: Hosted;
  let code: string;

  beforeAll(async () => {
    worker = await Hosted.start(situation);
    code = await mkdtemp(join(tmpdir(), "mayfly-code-"));
    await mkdir(join(code, "one"));
    await writeFile(join(code, "one", "index.js"), "exports.handler = 1\n");
    await chmod(code, 0o700);
    if (situation.uid !== undefined) await chown(code, situation.uid, situation.uid);
  });
  afterAll(async () => {
    await worker.end();
    await rm(code, { recursive: true, force: true });
    expect(worker.traces()).toEqual(noTraces);
  });

  test("stands still while it is frozen, if it can be, and goes on when it is thawed", async () => {
    const specs = [1, 2].map(() => enclosure(counting));
    const [frozen, free] = specs.map(({ id }) => id) as [string, string];
    await Promise.all(specs.map((spec) => worker.ask("start", spec)));
    while (Number(await worker.ask("tell", frozen, "?")) === 0);
    await worker.ask("freeze", frozen);
    let answered = false;
    const answer = worker.ask("tell", frozen, "?").finally(() => {
      answered = true;
    });
    const began = Number(await worker.ask("tell", free, "?"));
    while (Number(await worker.ask("tell", free, "?")) < began + 100);
    if ((await worker.isolation).freezes) expect(answered).toBe(false);
    else await answer;
    await worker.ask("thaw", frozen);
    expect(Number(await answer)).toBeGreaterThan(0);
    await Promise.all(specs.map(({ id }) => worker.ask("destroy", id)));
  });

  test("is seen to call at one of its own ports, also where nobody there accepts the call", async () => {
    const deaf = node(`const net = require("net");
      net.createServer().listen(9001, "127.0.0.1", () => {
        const s = new net.Socket({ fd: 3 });
        s.once("data", () => {
          const call = 'require("net").connect(9001, "127.0.0.1")';
          require("child_process").spawn("/var/lang/bin/node", ["-e", call], { stdio: "ignore" });
          s.write("calls", () => { while (true); });
        });
        s.write("listens");
      });`);
    const spec = enclosure(deaf);
    expect(await worker.ask("start", spec)).toBe("listens");
    const isCalledAt = (port: number) => worker.ask("isCalledAt", spec.id, port);
    expect([await isCalledAt(9001), await isCalledAt(9002)]).toEqual([false, false]);
    expect(await worker.ask("tell", spec.id, "call")).toBe("calls");
    await expect.poll(() => isCalledAt(9001), { timeout: 10_000 }).toBe(true);
    expect(await isCalledAt(9002)).toBe(false);
    await worker.ask("destroy", spec.id);
  });

  test("is killed and destroyed also while it is frozen, and is not frozen when it is booted again", async () => {
    const spec = enclosure(counting);
    const others = worker.traces().processes;
    await worker.ask("start", spec);
    await worker.ask("freeze", spec.id);
    expect(await worker.ask("kill", spec.id)).toMatchObject({ signal: "SIGKILL", outOfMemory: false });
    expect(worker.traces().processes).toBe(others);
    expect(await worker.ask("reboot", spec.id)).toBe("0");
    await worker.ask("freeze", spec.id);
    await worker.ask("destroy", spec.id);
    expect(worker.traces().processes).toBe(0);
  });

  test("shows code that is placed while it runs, read-only and to nobody else, if it can", async () => {
    const before = worker.traces();
    const reader = sh(`echo ready >&3; while read -r line <&3; do echo "$(eval "$line" 2>&1)." >&3; done`);
    const specs = [1, 2].map(() => enclosure(reader, { latePlaces: ["/var/task", "/opt"] }));
    const [spec, neighbour] = specs as [EnclosureSpec, EnclosureSpec];
    if (!(await worker.isolation).latePlacement) {
      await expect(worker.ask("start", spec)).rejects.toThrow("nothing can be placed late");
      return;
    }
    await Promise.all(specs.map((each) => worker.ask("start", each)));
    expect(await worker.ask("tell", spec.id, "ls /var/task\n")).toBe(".\n");
    await worker.ask("place", spec.id, [{ from: join(code, "one"), to: "/var/task" }]);
    expect(await worker.ask("tell", spec.id, "cat /var/task/index.js\n")).toMatch(/^exports.handler = 1/);
    expect(await worker.ask("tell", spec.id, "touch /var/task/x\n")).toContain("Read-only file system");
    expect(await worker.ask("tell", neighbour.id, "ls /var/task /opt\n")).not.toContain("index.js");
    await expect(
      worker.ask("place", spec.id, [{ from: join(code, "one"), to: "/var/task" }]),
      "once only",
    ).rejects.toThrow("/var/task is no place");
    await expect(worker.ask("place", spec.id, [{ from: code, to: "/etc" }])).rejects.toThrow("/etc is no place");
    await worker.ask("kill", spec.id);
    await worker.ask("reboot", spec.id);
    expect(await worker.ask("tell", spec.id, "cat /var/task/index.js\n")).toMatch(/^exports.handler = 1/);
    await Promise.all(specs.map(({ id }) => worker.ask("destroy", id)));
    expect(worker.traces().processes).toBe(before.processes);
  });

  test("makes the worker's list of mounts no longer once it was frozen, and keeps what it had for its next life", async () => {
    const { latePlacement } = await worker.isolation;
    const reader = sh(`echo ready >&3; while read -r line <&3; do echo "$(eval "$line" 2>&1)." >&3; done`);
    const spec = enclosure(reader, { tmpMiB: 17, ...(latePlacement ? { latePlaces: ["/var/task", "/opt"] } : {}) });
    const mounts = () => worker.mounts(/size=17408k|late.places/).length;
    await worker.ask("start", spec);
    if (latePlacement) await worker.ask("place", spec.id, [{ from: join(code, "one"), to: "/var/task" }]);
    await worker.ask("tell", spec.id, "echo kept > /tmp/it\n");
    // Its /tmp; its places and what is in one of them.
    expect(mounts()).toBe(!situation.privateMounts ? 0 : latePlacement ? 3 : 1);
    const shown = mounts();
    await worker.ask("freeze", spec.id);
    if (canHideMounts) await expect.poll(mounts).toBe(0);
    await worker.ask("kill", spec.id);
    await worker.ask("reboot", spec.id);
    expect(mounts()).toBe(shown);
    if (situation.privateMounts) expect(await worker.ask("tell", spec.id, "cat /tmp/it\n")).toBe("kept.\n");
    if (latePlacement) expect(await worker.ask("tell", spec.id, "cat /var/task/index.js\n")).toMatch(/^exports/);
    await worker.ask("freeze", spec.id);
    await worker.ask("destroy", spec.id);
    expect(mounts()).toBe(0);
  });
});
