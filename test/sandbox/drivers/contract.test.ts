import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EnclosureSpec } from "../../../actors/sandbox/drivers/driver.ts";
import { describeUnless, testUnless } from "../../support/unless.ts";
import { enclosure, Hosted, list, node, noIsolation, noPython, noTraces, python, sh, situations } from "./hosted.ts";
import { networking, networkless } from "./networked.ts";
import type { Life } from "./worker.ts";

describeUnless(noIsolation).each(situations)("a sandbox of a worker that is $title", (situation) => {
  let worker: Hosted;
  let code: string;

  beforeAll(async () => {
    worker = await Hosted.start(situation, { CANARY: "tweet-of-the-worker" });
    code = await mkdtemp(join(tmpdir(), "mayfly-code-"));
    await mkdir(join(code, "open"));
    await mkdir(join(code, "closed", "inner"), { recursive: true });
    await writeFile(join(code, "open", "index.js"), "exports.handler = 1\n");
    await writeFile(join(code, "closed", "inner", "index.js"), "exports.handler = 2\n");
    await chmod(code, 0o755);
    const closed = join(code, "closed");
    await chmod(closed, 0o700);
    if (situation.uid !== undefined) await chown(closed, situation.uid, situation.uid);
  });
  afterAll(async () => {
    await worker.end();
    await rm(code, { recursive: true, force: true });
    expect(worker.traces()).toEqual(noTraces);
  });

  const run = async (command: readonly string[], changes: Partial<EnclosureSpec> = {}, input = ""): Promise<Life> => {
    const [life] = await worker.ask("run", enclosure(command, changes), 1, input);
    return life as Life;
  };

  test("talks over descriptor 3, both ways", async () => {
    const life = await run(
      node(`const s = new (require("net").Socket)({ fd: 3 });
            s.once("data", (word) => s.end("heard " + word));`),
      {},
      "hello",
    );
    expect(life).toMatchObject({ said: "heard hello", exit: { code: 0, signal: null, started: true } });
  });

  test("keeps standard output and error apart and to the last byte", async () => {
    const life = await run(sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo bad >&2"));
    expect(life.stdout.split("\n")).toHaveLength(2001);
    expect(life.stderr).toBe("bad\n");
  });

  test("tells how its program ended", async () => {
    expect((await run(sh("exit 3"))).exit).toEqual({ code: 3, signal: null, outOfMemory: false, started: true });
    expect((await run(sh("kill -TERM $$"))).exit).toMatchObject({ code: null, signal: "SIGTERM" });
  });

  test("tells when its program isn't there", async () => {
    const { exit, stderr } = await run(["/var/task/bootstrap"]);
    expect(exit.started && exit.code !== 127).toBe(false);
    expect(stderr).toContain("bootstrap");
  });

  test("can write nowhere but in /tmp and shared memory", async () => {
    const places = ["/", "/usr", "/etc", "/var", "/var/task", "/opt", "/dev", "/proc", "/tmp", "/dev/shm"];
    const { stdout } = await run(
      sh(`cat index.js; for p in ${places.join(" ")}; do (: > $p/mark) 2>/dev/null && echo $p; done; true`),
      { mounts: [{ from: join(code, "open"), to: "/var/task" }] },
    );
    expect(stdout.trim().split("\n")).toEqual(["exports.handler = 1", "/tmp", "/dev/shm"]);
  });

  test("shows what only the worker itself can walk to, where it has private mounts", async () => {
    const mounts = [{ from: join(code, "closed", "inner"), to: "/var/task" }];
    const outcome = await Promise.all([1, 2].map(() => run(sh("cat index.js; touch x"), { mounts }))).then(
      (lives) => lives.map(({ stdout, stderr }) => stdout + stderr),
      (error: Error) => [error.message],
    );
    const shown = situation.privateMounts || situation.uid !== undefined || process.geteuid?.() !== 0;
    const expected = shown
      ? Array(2).fill(expect.stringMatching(/^exports.handler = 2\n.*(Read-only file system|Permission denied)/s))
      : [expect.stringContaining("other users can't walk through")];
    expect(outcome).toEqual(expected);
  });

  test("has a /tmp of just its size, which is its own to use", async () => {
    const { stdout, exit } = await run(
      sh("dd if=/dev/zero of=/tmp/big bs=1M count=8 2>&1; stat -c %s /tmp/big; rm /tmp/big && mkdir /tmp/a"),
      { tmpMiB: 4 },
    );
    expect(stdout).toContain("No space left");
    expect(stdout).toContain(String(4 * 1024 * 1024));
    expect(exit.code).toBe(0);
  });

  test("keeps /tmp from life to life, or says that it doesn't, and nothing else", async () => {
    const lives = await worker.ask(
      "run",
      enclosure(sh(`${list} list /tmp /dev/shm; : > /tmp/kept; : > /dev/shm/lost`)),
      2,
      "",
    );
    const { lacks } = await worker.isolation;
    expect(lives.map(({ stdout }) => stdout)).toEqual(["", situation.privateMounts ? "kept\n" : ""]);
    expect(lacks.some((each) => each.startsWith("/tmp is not kept"))).toBe(!situation.privateMounts);
  });

  test("gets an empty /tmp though another sandbox has used one", async () => {
    await run(sh("echo secret > /tmp/mine"));
    expect((await run(sh(`${list} list /tmp`))).stdout).toBe("");
  });

  test("has the network it asks for, or isn't made at all", async () => {
    // Node's own list leaves out what the kernel hasn't yet called running.
    const list = `console.log(require("fs").readFileSync("/proc/net/dev", "utf8").match(/\\w+(?=:)/g).sort().join())`;
    const spec = enclosure(node(list), { egress: ["internet"] });
    const { egress, lacks } = await worker.isolation;
    const made = worker.ask("run", spec, 1, "").then(
      ([life]) => life?.stdout,
      ({ name, message }: Error) => ({ name, isTold: lacks.includes(message) }),
    );
    expect(await made).toEqual(egress === undefined ? { name: "EgressUnavailable", isTold: true } : "lo,tap0\n");
    // What an ordinary user may have depends on the host.
    if (networkless !== undefined || situation.uid !== undefined) return;
    expect([situation.driver, egress]).toEqual([
      situation.driver,
      networking.includes(situation.driver) ? "slirp4netns" : undefined,
    ]);
  });

  test("reaches no network, not even the host's own", async () => {
    const bait = createServer((socket) => socket.end("caught"));
    await new Promise<void>((resolve) => bait.listen(0, resolve));
    try {
      const { port } = bait.address() as { port: number };
      const life = await run(
        node(`for (const host of ["127.0.0.1", "169.254.169.254", "10.0.0.1"]) {
          const s = require("net").connect(${port}, host);
          s.on("connect", () => console.log("reached", host)).on("error", (e) => console.log(e.code.replace("EHOST", "ENET")));
        }
        console.log(Object.keys(require("os").networkInterfaces()).join());`),
      );
      expect(life.stdout.trim().split("\n").sort()).toEqual(["ECONNREFUSED", "ENETUNREACH", "ENETUNREACH", "lo"]);
    } finally {
      await new Promise((resolve) => bait.close(resolve));
    }
  });

  test("has a bare environment, and none of the worker's anywhere", async () => {
    const { stdout } = await run(sh("env; cat /proc/*/environ /proc/*/cmdline /proc/*/mountinfo | tr '\\0' '\\n'"));
    expect(stdout).not.toContain("tweet-of-the-worker");
    const names = (await run(node("console.log(Object.keys(process.env).sort().join())"))).stdout.trim();
    expect(names).toBe("LANG,PATH,PWD");
  });

  testUnless(noPython)("has descriptors 0 to 3 and no other", async () => {
    const { stdout } = await run(
      python(`import os
print([n for n in range(1024) if os.path.exists('/proc/self/fd/%d' % n)])`),
    );
    expect(stdout).toBe("[0, 1, 2, 3]\n");
  });

  test("owns none of the host's devices", async () => {
    const before = await stat("/dev/null");
    await run(sh("true"));
    const after = await stat("/dev/null");
    expect([after.uid, after.mode]).toEqual([before.uid, before.mode]);
  });

  test("sees no process but its own", async () => {
    const { stdout } = await run(
      node(`const fs = require("fs");
      console.log(fs.readdirSync("/proc").filter((n) => /^\\d+$/.test(n)).join(), process.ppid);`),
    );
    expect(stdout.trim()).toMatch(/^1,\d+ 1$/);
  });

  test("sees of the host only its programs, and a made-up identity", async () => {
    const { stdout } = await run(
      sh(`${list} list "" /root /home /run /work /srv; cat /etc/shadow 2>/dev/null
          id -u; id -un; hostname; date +%Z; grep -c : /etc/passwd`),
    );
    const lines = stdout.trim().split("\n");
    const top = [
      "bin",
      "dev",
      "etc",
      "lib",
      "lib32",
      "lib64",
      "libx32",
      "nix",
      "opt",
      "proc",
      "sbin",
      // gVisor's own, which nobody may look into.
      ...(situation.driver === "oci:runsc" ? ["sys"] : []),
      "tmp",
      "usr",
      "var",
    ];
    expect(top).toEqual(expect.arrayContaining(lines.slice(0, -5)));
    expect(lines.slice(-5)).toEqual(["1000", "sandbox", "sandbox", "UTC", "2"]);
    const { stdout: told } = await run(sh("cat /proc/cmdline /proc/keys 2>/dev/null"));
    // gVisor makes up a command line of its own.
    if (situation.driver !== "oci:runsc") expect(told).toBe("");
    expect(told).not.toContain((await readFile("/proc/cmdline", "utf8")).trim());
  });

  test("is killed when it takes more memory than it may, and it is told so", async ({ skip }) => {
    if ((await worker.isolation).limits.memory === "none")
      skip("memory can't be limited by this worker: it has no cgroup");
    const life = await run(node("const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"), { memoryMiB: 64 });
    expect(life.exit).toEqual({ code: null, signal: "SIGKILL", outOfMemory: true, started: true });
    // A kernel in user space has an allowance of its own.
    const most = situation.driver === "oci:runsc" ? 64 + 48 : 64;
    expect(life.peakMemoryBytes).toBeGreaterThan(60 << 20);
    expect(life.peakMemoryBytes).toBeLessThanOrEqual((most + 1) << 20);
  });

  test("has so much less memory in its next life as it left in /tmp, where that is kept", async ({ skip }) => {
    if ((await worker.isolation).limits.memory === "none")
      skip("memory isn't measured for this worker: it has no cgroup");
    if (!situation.privateMounts) skip("without private mounts no /tmp is kept");
    const life = await run(sh("head -c 8M /dev/zero > /tmp/kept"), { memoryMiB: 128 });
    expect(Math.floor(life.keptBytes / (1 << 20))).toBe(8);
  });

  testUnless(noPython)("makes no more processes than it may", async ({ skip }) => {
    if ((await worker.isolation).limits.pids === "none") skip("processes can't be limited by this worker");
    const { stdout, exit } = await run(
      python(`import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError as error:
    print(made, error.strerror, flush=True)
os.kill(os.getpid(), 9)`),
      { pids: 20 },
    );
    // Each process of gVisor's is a thread of the host's: a kernel in user space that gets no more of those ends.
    if (situation.driver === "oci:runsc") expect(exit).not.toMatchObject({ code: 0 });
    else expect(stdout).toMatch(/^(1[5-9]|2[0-5]) Resource temporarily unavailable/);
  });

  test("has the same limits in every life: of processes, open files and core dumps", async ({ skip }) => {
    if ((await worker.isolation).limits.pids === "none") skip("processes can't be limited by this worker");
    if (situation.driver === "oci:runsc") skip("gVisor's kernel has limits of its own");
    const spec = enclosure(sh("grep -E 'Max (processes|open files|core)' /proc/self/limits"));
    const [first, second] = await worker.ask("run", spec, 2, "");
    expect(first?.stdout).toMatch(/core file size +1 +1 /);
    expect(first?.stdout).toMatch(/open files +1024 +1024 /);
    const processes = /processes +(\d+) +\1 /.exec(first?.stdout ?? "")?.[1];
    expect(Number(processes) - spec.pids).toBeLessThanOrEqual(4);
    expect(second?.stdout).toBe(first?.stdout);
  });

  test("is gone with all its children when it is killed, and can be booted again", async () => {
    const spec = enclosure(sh("for i in 1 2 3; do setsid sleep 100 & done; echo ready >&3; sleep 100"));
    expect(await worker.ask("start", spec)).toBe("ready\n");
    expect(worker.traces().processes).toBeGreaterThan(0);
    expect(await worker.ask("kill", spec.id)).toEqual({
      code: null,
      signal: "SIGKILL",
      outOfMemory: false,
      started: true,
    });
    expect(worker.traces().processes).toBe(0);
    expect(await worker.ask("reboot", spec.id)).toBe("ready\n");
    await expect(worker.ask("reboot", spec.id)).rejects.toMatchObject({ name: "BootFailed" });
    await worker.ask("destroy", spec.id);
    await worker.ask("destroy", spec.id);
    expect(worker.traces().processes).toBe(0);
    await expect(worker.ask("reboot", spec.id)).rejects.toMatchObject({ name: "BootFailed" });
  });

  test("leaves no mount, group or folder of its own behind", async () => {
    const before = worker.traces();
    const spec = enclosure(sh("echo ready >&3; sleep 100"), { tmpMiB: 17 });
    await worker.ask("start", spec);
    await worker.ask("destroy", spec.id);
    expect(worker.traces()).toEqual(before);
  });

  test("fails to begin with the reason when something to show isn't there", async () => {
    const mounts = [{ from: join(code, "not-there"), to: "/var/task" }];
    const outcome = await run(sh("true"), { mounts }).then(
      ({ exit, stderr }) => `${exit.started} ${stderr}`,
      (error: Error) => `false ${error.message}`,
    );
    expect(outcome).toMatch(/^false .*not-there/s);
  });

  test("is a user of its own on the host, where the worker may become others", async ({ skip }) => {
    if (!(await worker.isolation).uidPerSandbox) skip("this worker can't become other users");
    const specs = [1, 2].map(() => enclosure(sh("echo ready >&3; sleep 100")));
    await Promise.all(specs.map((spec) => worker.ask("start", spec)));
    expect(worker.owners().size).toBe(2);
    expect(worker.owners()).not.toContain("0");
    await Promise.all(specs.map((spec) => worker.ask("destroy", spec.id)));
  });
});
