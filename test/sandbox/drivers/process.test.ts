/** What plain processes promise: lives that begin, talk, end and can be ended. Isolation isn't among it. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { onHost } from "../../../actors/sandbox/drivers/process/paths.ts";
import { ORDINARY_USER } from "../../support/ordinary-user.ts";
import { enclosure, Hosted, node, noTraces, sh, situations } from "./hosted.ts";

const isRoot = process.geteuid?.() === 0;
const plain = [
  { title: "the tests' own user", driver: "process" as const, privateMounts: false },
  ...(isRoot
    ? [{ title: "an ordinary user", driver: "process" as const, privateMounts: false, uid: ORDINARY_USER }]
    : []),
];

/** Host pids of what has `mark` as a word of its command line. */
const running = (mark: string): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(mark);
    } catch {
      return false;
    }
  });

describe.each(plain)("a plain process of a worker that is $title", (situation) => {
  let worker: Hosted;
  beforeAll(async () => {
    worker = await Hosted.start(situation);
  });
  afterAll(async () => {
    await worker.end();
    expect(worker.traces()).toEqual(noTraces);
  });

  test("is told from a sandbox: nothing is said to be kept apart", async () => {
    expect(situations.map(({ driver }) => driver)).not.toContain("process");
    expect(await worker.isolation).toMatchObject({ driver: "process", ownRoot: false, namespaces: [], seccomp: false });
  });

  test("isn't run when it asks for a network of its own", async () => {
    await expect(worker.ask("run", enclosure(sh("true"), { egress: ["internet"] }), 1, "")).rejects.toMatchObject({
      name: "EgressUnavailable",
      message: expect.stringContaining("process"),
    });
  });

  test("talks over descriptor 3, and its command finds what others see mounted", async () => {
    const talker = node(`const s = new (require("net").Socket)({ fd: 3 });
      s.once("data", (word) => s.end(process.execPath + " heard " + word));`);
    const [life] = await worker.ask("run", enclosure(talker), 1, "hello");
    expect(life).toMatchObject({
      said: `${process.execPath} heard hello`,
      exit: { code: 0, signal: null, outOfMemory: false, started: true },
    });
  });

  test("tells how it ended, and keeps what it said", async () => {
    const lives = await Promise.all(
      ["echo out; echo bad >&2; exit 3", "kill -TERM $$", "exec /nowhere/program"].map(async (source) => {
        const [life] = await worker.ask("run", enclosure(sh(source)), 1, "");
        return life;
      }),
    );
    expect(lives[0]).toMatchObject({ stdout: "out\n", stderr: "bad\n", exit: { code: 3, signal: null } });
    expect(lives[1]).toMatchObject({ exit: { code: null, signal: "SIGTERM" } });
    expect(lives[2]).toMatchObject({ exit: { code: 127 } });
  });

  test("has descriptors 0 to 3 and none of the worker's environment", async () => {
    const [life] = await worker.ask(
      "run",
      enclosure(
        node(`const fs = require("fs");
        const own = fs.readdirSync("/proc/self/fd").filter((n) => { try { return /socket|pipe/.test(fs.readlinkSync("/proc/self/fd/" + n)) && Number(n) < 4; } catch {} });
        console.log(own.join(), Object.keys(process.env).filter((n) => /MAYFLY|CANARY/.test(n)).join());`),
      ),
      1,
      "",
    );
    expect(life?.stdout).toBe("1,2,3 \n");
  });

  test("is gone with its children when it is killed, and can be booted again", async () => {
    const mark = `plain-child-${process.pid}-${situation.title.length}`;
    const spec = enclosure(sh(`for i in 1 2; do sh -c 'sleep 100; :' ${mark} & done; echo ready >&3; wait`));
    expect(await worker.ask("start", spec)).toBe("ready\n");
    await expect.poll(() => running(mark).length).toBe(2);
    expect(await worker.ask("kill", spec.id)).toMatchObject({ signal: "SIGKILL", outOfMemory: false });
    expect(running(mark)).toEqual([]);
    expect(await worker.ask("reboot", spec.id)).toBe("ready\n");
    await expect(worker.ask("reboot", spec.id)).rejects.toMatchObject({ name: "BootFailed" });
    await worker.ask("destroy", spec.id);
    expect(running(mark)).toEqual([]);
  });

  test("can't be given code late, and says so", async () => {
    const spec = enclosure(sh("true"), { latePlaces: ["/opt"] });
    await expect(worker.ask("start", spec)).rejects.toThrow("nothing can be placed late");
  });
});

test("a path below a mount is turned into the host's, in words and in lists, the innermost mount first", () => {
  const mounts = [
    { from: "/host/lang", to: "/var/lang" },
    { from: "/host/node", to: "/var/lang/bin/node" },
    { from: "/host/task", to: "/var/task" },
  ];
  expect(onHost("/var/lang/bin/node", mounts)).toBe("/host/node");
  expect(onHost("/var/task", mounts)).toBe("/host/task");
  expect(onHost("/var/taskforce", mounts)).toBe("/var/taskforce");
  expect(onHost("/var/lang/lib:/usr/lib:/var/task/lib", mounts)).toBe("/host/lang/lib:/usr/lib:/host/task/lib");
  expect(onHost("LD_LIBRARY_PATH=/var/task/lib", mounts)).toBe("LD_LIBRARY_PATH=/host/task/lib");
  expect(onHost("https://example.com/var/task", mounts)).toBe("https://example.com/var/task");
});
