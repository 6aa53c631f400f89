/** Attacks that want everything: processes, memory, disk, descriptors, processors, the log, the worker's attention. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { configure } from "../support/functions.ts";
import { testUnless } from "../support/unless.ts";
import { type Attacked, noPython, startAttacked, underEachDriver } from "./attacked.ts";

/** Without them a bomb would hit this machine: then none is thrown. */
let limited = false;

underEachDriver("under %s, a function that wants everything", (driver) => {
  /** Its kernel is a part of the sandbox: what makes that fail ends the sandbox, and its words for it are its own. */
  const isGvisor = driver === "oci:runsc";
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
    limited = /memory cgroup, pids cgroup, cpu cgroup/.test(attacked.system.output());
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  /** The attack, and the neighbour's answer while it is under way. */
  const underWay = async (fn: string, event: unknown = {}) => {
    const attack = attacked.invoke(fn, event);
    await attacked.isUnharmed();
    await attacked.isUnharmed();
    return attack;
  };

  testUnless(noPython)(
    "processes: a fork bomb ends at the limit, and nothing of it is left after the time-out",
    async ({ skip }) => {
      if (!limited) skip("without groups nothing limits a bomb");
      const bomb = `
import os, time
made = 0
while True:
    try:
        if os.fork() == 0:
            os.execv('/bin/sleep', ['fork-bomb-of-the-attack', '600'])
        made += 1
    except OSError as error:
        if event.get('tell'): return [made, error.strerror]
        time.sleep(0.05)`;
      const left = () => attacked.processes("fork-bomb-of-the-attack");
      const thrown = await attacked.python(bomb, { timeout: 2, memory: 1024 });
      const ends = isGvisor ? ["Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory"] : ["Sandbox.Timedout"];
      expect(ends).toContain((await underWay(thrown)).error?.errorType);
      await expect.poll(async () => (await left()).length, { timeout: 10_000 }).toBe(0);
      const counted = await attacked.python(bomb, { timeout: 25, memory: 1024 });
      const { value, error } = await attacked.invoke(counted, { tell: true });
      if (isGvisor && error !== undefined) return expect(ends).toContain(error.errorType);
      const [made, why] = value as [number, string];
      expect(made).toBeLessThanOrEqual(1024);
      expect(why).toBe("Resource temporarily unavailable");
    },
  );

  testUnless(noPython)("threads: a bomb of them ends at the limit too", async ({ skip }) => {
    if (!limited) skip("without groups nothing limits a bomb");
    const fn = await attacked.python(
      `
import os, threading
threading.stack_size(64 * 1024)
stop = threading.Event()
made = 0
try:
    while made < 5000:
        threading.Thread(target=stop.wait, daemon=True).start(); made += 1
except RuntimeError as error:
    why = str(error)
stop.set()
return [made, why]`,
      { memory: 512 },
    );
    const [made, why] = (await underWay(fn)).value as [number, string];
    // gVisor counts the processes of the user alone, to which none of its own belong.
    expect(made).toBeLessThanOrEqual(isGvisor ? 1028 : 1024);
    expect(why).toBe("can't start new thread");
  });

  const hog = `const hoard = []; for (;;) hoard.push(Buffer.alloc(1 << 20, 1));`;

  test("memory: a hog is killed and told so as Lambda tells it, and the next call gets a new process", async ({
    skip,
  }) => {
    if (!limited) skip("without groups nothing limits memory");
    const fn = await attacked.node(`if (event.hog) { ${hog} } return "back";`, { memory: 128 });
    const { error, reply } = await underWay(fn, { hog: true });
    expect(error?.errorType).toBe("Runtime.OutOfMemory");
    expect(error?.errorMessage).toMatch(/^RequestId: \S+ Error: Runtime exited with error: signal: killed$/);
    expect(reply.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
    expect((await attacked.invoke(fn)).value).toBe("back");
  });

  test("memory: a hog in a child harms at most its own sandbox", async ({ skip }) => {
    if (!limited) skip("without groups nothing limits memory");
    const fn = await attacked.node(
      `
      const child = require("node:child_process").spawnSync("/var/lang/bin/node", ["-e", ${JSON.stringify(hog)}]);
      return child.signal ?? child.status;`,
      { memory: 192 },
    );
    const { value, error } = await underWay(fn);
    expect([value, error?.errorType]).toEqual(error ? [undefined, "Runtime.OutOfMemory"] : ["SIGKILL", undefined]);
  });

  testUnless(noPython)("memory: files and segments that belong to nobody count as the sandbox's", async ({ skip }) => {
    if (!limited) skip("without groups nothing limits memory");
    for (const act of ["memfd", "shm", "pipes"]) {
      const fn = await attacked.python(
        `
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
block = b'x' * (1 << 20)
kept = []
for n in range(400):
    if '${act}' == 'memfd':
        fd = os.memfd_create('hoard'); os.write(fd, block)
    elif '${act}' == 'shm':
        segment = libc.shmget(0, 1 << 20, 0o1600)
        if segment < 0: return 'refused'
        ctypes.memset(libc.shmat(segment, None, 0), 1, 1 << 20)
    else:
        try:
            r, w = os.pipe(); fcntl.fcntl(w, 1031, 1 << 20); os.set_blocking(w, False)
            try: os.write(w, block)
            except BlockingIOError: pass
        except OSError: return 'refused'
return 'hoarded'`,
        { memory: 128 },
      );
      const { value, error } = await underWay(fn);
      expect(value ?? error?.errorType, act).toMatch(/^(Runtime.OutOfMemory|refused)$/);
      await attacked.remove(fn);
    }
  });

  test("disk: /tmp ends at the function's EphemeralStorage, in bytes and in files", async () => {
    const fn = await attacked.node(
      `
      const fs = require("node:fs");
      const fd = fs.openSync("/tmp/fill", "w");
      const block = Buffer.alloc(1 << 20, 1);
      let written = 0;
      try { for (;;) written += fs.writeSync(fd, block); } catch (error) { var full = error.code; }
      fs.rmSync("/tmp/fill");
      let files = 0;
      try { for (;;) { fs.writeFileSync("/tmp/" + files, ""); files += 1; } } catch (error) { var filesEnd = error.code; }
      return { full, filesEnd, MiB: written >> 20, bounded: files < 600 * 256 };`,
      { memory: 1024, timeout: 55 },
    );
    await configure(await attacked.system.connect("platform"), fn, { EphemeralStorage: { Size: 512 } });
    const { value } = await underWay(fn);
    expect(value).toEqual({ full: "ENOSPC", filesEnd: "ENOSPC", MiB: 512, bounded: true });
    // gVisor takes a while to make so many files.
  }, 90_000);

  test("disk: /tmp in a function of little memory ends with that memory, and with its own process", async ({
    skip,
  }) => {
    if (!limited) skip("without groups nothing limits memory");
    const fn = await attacked.node(
      `
      const fs = require("node:fs");
      if (!event.fill) return fs.readdirSync("/tmp");
      const fd = fs.openSync("/tmp/fill", "w");
      for (const block = Buffer.alloc(1 << 20, 1); ; ) fs.writeSync(fd, block);`,
      { memory: 128 },
    );
    for (let round = 0; round < 2; round++) {
      expect((await underWay(fn, { fill: true })).error?.errorType).toBe("Runtime.OutOfMemory");
      expect((await attacked.invoke(fn)).value).toEqual([]);
    }
  });

  test("disk: shared memory and everything else that can be written ends far below", async () => {
    const fn = await attacked.node(`
      const fs = require("node:fs");
      const block = Buffer.alloc(1 << 20, 1);
      const fill = (path) => { let n = 0; try { const fd = fs.openSync(path, "w"); for (;;) n += fs.writeSync(fd, block); } catch (error) { return [error.code, n >> 20]; } };
      return ["/dev/shm/fill", "/dev/fill", "/fill", "/var/task/fill", "/var/fill", "/proc/fill", "/etc/fill"].map(fill);`);
    const { value } = await underWay(fn);
    const refused = isGvisor
      ? Array(6).fill(["EACCES", 0])
      : [...Array(4).fill(["EROFS", 0]), ["ENOENT", 0], ["EROFS", 0]];
    expect(value).toEqual([["ENOSPC", 16], ...refused]);
  });

  test("descriptors: a hoarder is stopped at 1024 a process", async () => {
    const fn = await attacked.node(`
      const fs = require("node:fs");
      const kept = [];
      try { for (;;) kept.push(fs.openSync("/dev/null")); } catch (error) { for (const fd of kept) fs.closeSync(fd); return [error.code, kept.length <= 1024]; }`);
    expect((await underWay(fn)).value).toEqual(["EMFILE", true]);
  });

  testUnless(noPython)("limits: its own can't be raised, nor its share of the processors", async () => {
    const fn = await attacked.python(`
import ctypes, errno, os, resource
def attempt(act):
    try:
        act(); return 'done'
    except (OSError, ValueError) as error:
        return type(error).__name__
def oom():
    with open('/proc/self/oom_score_adj', 'w') as f: f.write('-1000')
def group(file):
    return lambda: open('/sys/fs/cgroup/' + file, 'w')
return [attempt(act) for act in (
    lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
    lambda: resource.setrlimit(resource.RLIMIT_NPROC, (99999, 99999)),
    lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
    oom, group('memory/memory.limit_in_bytes'), group('memory.max'), group('cgroup.procs'))]`);
    const { value, error } = await attacked.invoke(fn);
    expect(error).toBeUndefined();
    // gVisor notes a priority and who is to be ended first, and heeds neither.
    const heeded = (value as string[]).filter((_, index) => !(isGvisor && [3, 5].includes(index)));
    expect(heeded).not.toContain("done");
  });

  test("processors: one that spins is stopped at its time-out, while others are served", async () => {
    const fn = await attacked.node(`for (;;);`, { timeout: 1 });
    const spins = [1, 2, 3].map(() => attacked.invoke(fn));
    await attacked.isUnharmed();
    for (const { error } of await Promise.all(spins)) expect(error?.errorType).toBe("Sandbox.Timedout");
  });

  test("log: a flood harms nobody, and what is kept of it is bounded and told", async () => {
    const fn = await attacked.node(
      `
      const { writeSync } = require("node:fs");
      const some = Buffer.from(("flood ".repeat(20) + "\\n").repeat(100));
      let lines = 0;
      for (; lines < 500_000; lines += 100) for (let at = 0; at < some.length; ) try { at += writeSync(1, some, at); } catch {}
      return lines;`,
      { timeout: 25 },
    );
    const { value, error } = await underWay(fn);
    expect(error).toBeUndefined();
    expect(value).toBe(500_000);
    const lines = await attacked.logUntil(fn, /^END/);
    const dropped = lines.flatMap((line) => /^LOGS_DROPPED (\d+) lines/.exec(line)?.[1] ?? []).map(Number);
    expect(dropped.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(250_000);
  });

  test("log: lines without end are cut, and so is the tail the caller asked for", async () => {
    const fn = await attacked.node(
      `
      const { writeSync } = require("node:fs");
      const piece = Buffer.alloc(1 << 16, "x");
      let MiB = 0;
      const put = (fd) => { try { return writeSync(fd, piece); } catch (error) { if (error.code !== "EAGAIN") throw error; return 0; } };
      for (let n = 0; n < 64 << 20; ) n += put(1);
      console.log("y".repeat(3 << 20));
      return "written";`,
      { timeout: 20 },
    );
    const { value, reply } = await attacked.invoke(fn, {}, { "X-Amz-Log-Type": "Tail" });
    expect(value).toBe("written");
    expect(Buffer.from(reply.headers?.get("X-Amz-Log-Result") ?? "", "base64").length).toBeLessThanOrEqual(4096);
    const lines = await attacked.logUntil(fn, /^END/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(256 * 1024);
  });

  test("answers: one that is too large is refused by name, one without end is stopped at the time-out", async () => {
    const large = await attacked.node(`return "x".repeat(7 << 20);`, { memory: 512 });
    expect((await underWay(large)).error?.errorType).toBe("Function.ResponseSizeTooLarge");
    const endless = await attacked.node(
      `
      let written = 0;
      const pump = () => { stream.write(Buffer.alloc(1 << 20)); written += 1; setTimeout(pump, 20); };
      pump();
      return new Promise(() => {});`.replace(/stream/g, "process.stdout"),
      { timeout: 2 },
    );
    expect((await underWay(endless)).error?.errorType).toBe("Sandbox.Timedout");
  });

  test("answers: an error of many megabytes is answered, with itself or a named one", async () => {
    const fn = await attacked.node(
      `throw Object.assign(new Error("x".repeat(event.chars)), { name: "E".repeat(10_000) });`,
      { memory: 512 },
    );
    for (const chars of [1 << 20, 6 << 20]) {
      const { error, refused } = await underWay(fn, { chars });
      expect(refused).toBeUndefined();
      expect(error?.errorType).toBeTypeOf("string");
    }
  });
});
