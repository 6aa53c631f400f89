/** Attacks that want out: through the package, through devices and set-id files, through the kernel, through time. */
import { spawnSync } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { api, ROLE } from "../support/functions.ts";
import { testUnless } from "../support/unless.ts";
import { type HandMadeEntry, handMadeZip } from "../worker/hand-made-zip.ts";
import { type Attacked, noPython, startAttacked, underEachDriver } from "./attacked.ts";

underEachDriver("under %s, a function that wants out", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  const find = (...words: string[]): string[] =>
    spawnSync("find", [attacked.system.home.root, ...words], { encoding: "utf8" })
      .stdout.split("\n")
      .filter(Boolean);

  /** Deploys a zip as it is; gives the error of its deployment or of its first call, or the answer. */
  const unpacked = async (name: string, entries: readonly HandMadeEntry[]): Promise<string> => {
    const platform = await attacked.system.connect("platform");
    const code = {
      name: "index.js",
      content: "exports.handler = async () => require('fs').readFileSync('/var/task/door', 'utf8')",
    };
    const ZipFile = Buffer.from(handMadeZip([code, ...entries])).toString("base64");
    try {
      await api(platform, "CreateFunction", {
        FunctionName: name,
        Role: ROLE,
        Runtime: "nodejs24.x",
        Handler: "index.handler",
        Code: { ZipFile },
      });
    } catch (error) {
      return String(error);
    }
    for (;;) {
      const { State, StateReasonCode, StateReason } = await api(platform, "GetFunctionConfiguration", {
        FunctionName: name,
      });
      if (State === "Failed") return `${StateReasonCode}: ${StateReason}`;
      if (State !== "Pending") break;
    }
    const { value, error, refused } = await attacked.invoke(name);
    return String(refused ?? error?.errorType ?? JSON.stringify(value));
  };

  test("by links and devices in its package, or names that climb, doesn't get its code unpacked", async () => {
    const doors: Record<string, HandMadeEntry[]> = {
      "door-absolute": [{ name: "door", content: "/etc/shadow", mode: 0o120777 }],
      "door-climbing": [{ name: "door", content: "../../../../etc/shadow", mode: 0o120777 }],
      "door-through": [
        { name: "out", content: "/", mode: 0o120777 },
        { name: "out/tmp/mayfly-door", content: "x" },
      ],
      "door-slip": [{ name: "../../../../../../tmp/mayfly-door", content: "x" }],
      "door-device": [{ name: "door", mode: 0o060666 }],
      "door-pipe": [{ name: "door", mode: 0o010666 }],
    };
    for (const [name, entries] of Object.entries(doors)) {
      expect(await unpacked(name, entries), name).toMatch(/InvalidZipFile|CodeUnsafe|CodeCorrupt|Could not unzip/);
    }
    await expect(stat("/tmp/mayfly-door")).rejects.toMatchObject({ code: "ENOENT" });
    expect(find("-name", "door", "-type", "l")).toEqual([]);
  });

  test("by set-id files in its package leaves none on the host, and one it makes gives it nothing", async () => {
    expect(await unpacked("set-id", [{ name: "door", content: "#!/bin/sh\nid -u\n", mode: 0o106755 }])).toContain(
      "id -u",
    );
    expect(find("-perm", "/7022", "-type", "f", "-path", "*/code/*")).toEqual([]);
    const fn = await attacked.node(`
      const fs = require("node:fs");
      const { spawnSync } = require("node:child_process");
      fs.copyFileSync("/usr/bin/id", "/tmp/id"); fs.chmodSync("/tmp/id", 0o6755);
      const ran = spawnSync("/tmp/id", ["-u"], { encoding: "utf8" });
      const others = ["/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"].filter(fs.existsSync).map((path) => spawnSync(path, ["-c", "id -u"], { input: "", encoding: "utf8" }).stdout.trim());
      const sets = ["setuid", "setgid", "seteuid"].map((name) => { try { process[name](0); return "became root"; } catch (error) { return error.code; } });
      const status = fs.readFileSync("/proc/self/status", "utf8");
      return { ran: ran.stdout.trim(), asRoot: others.includes("0"), sets, privileges: (/NoNewPrivs:\\t(\\d)/.exec(status)?.[1] ?? "") + /CapEff:\\t(\\w+)/.exec(status)[1] };`);
    expect((await attacked.invoke(fn)).value).toEqual({
      ran: "1000",
      asRoot: false,
      sets: Array(3).fill(expect.stringMatching(/EPERM|EINVAL/)),
      // gVisor has it and doesn't tell.
      privileges: (driver === "oci:runsc" ? "" : "1") + "0".repeat(16),
    });
  });

  test("by hard links, overwriting its interpreter, runtime or code changes none of them", async () => {
    const fn = await attacked.node(`
      const fs = require("node:fs");
      const targets = ["/proc/self/exe", "/proc/1/exe", "/var/lang/bin/node", "/var/runtime/bootstrap.cjs", "/var/task/index.js", "/usr/bin/env", "/etc/passwd", "/etc/ld.so.preload", "/dev/null"];
      const acts = {
        write: (path) => fs.closeSync(fs.openSync(path, "r+")), truncate: (path) => fs.truncateSync(path, 0), chmod: (path) => fs.chmodSync(path, 0o777),
        remove: (path) => fs.rmSync(path), rename: (path) => fs.renameSync(path, path + ".old"), link: (path) => fs.linkSync(path, "/tmp/link"), times: (path) => fs.utimesSync(path, 0, 0),
      };
      const done = [];
      for (const path of targets) for (const [name, act] of Object.entries(acts)) { try { act(path); done.push(name + " " + path); } catch {} }
      return done.filter((each) => !/^(write|truncate) \\/dev\\/null$/.test(each));`);
    const watched = [process.execPath, "/usr/bin/env", "/dev/null"];
    const before = await Promise.all(watched.map((path) => stat(path)));
    expect((await attacked.invoke(fn)).value).toEqual([]);
    const after = await Promise.all(watched.map((path) => stat(path)));
    expect(after.map(({ uid, mode, size }) => [uid, mode, size])).toEqual(
      before.map(({ uid, mode, size }) => [uid, mode, size]),
    );
  });

  testUnless(noPython)(
    "by the kernel: devices, mounts, namespaces, keyrings, tracing and terminals are refused",
    async () => {
      const fn = await attacked.python(`
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    return 'done' if libc.syscall(number, *args) >= 0 else errno.errorcode[ctypes.get_errno()]
def tiocsti():
    try:
        fcntl.ioctl(1, 0x5412, b'x'); return 'done'
    except OSError as error: return errno.errorcode[error.errno]
def tty():
    try:
        os.open('/dev/tty', os.O_RDWR); return 'done'
    except OSError as error: return errno.errorcode[error.errno]
def put(path, text):
    try:
        with open(path, 'w') as f: f.write(text)
        return 'done'
    except OSError as error: return errno.errorcode[error.errno]
def namespace():
    try:
        return os.open('/proc/1/ns/mnt', 0)
    except OSError: return 0
x64 = os.uname().machine == 'x86_64'
calls = {} if not x64 else {
    'mknod': call(133, b'/tmp/disk', 0o060666, 0xfe00), 'mount': call(165, b'proc', b'/tmp', b'proc', 0, 0), 'bind': call(165, b'/', b'/tmp', 0, 4096, 0),
    'unshare': call(272, 0x10000000), 'setns': call(308, namespace(), 0), 'keyctl': call(250, 0, -3, 1), 'ptrace': call(101, 16, 1, 0, 0),
    'chroot': call(161, b'/tmp'), 'handle': call(304, 0, 0, 0), 'kexec': call(246, 0, 0, 0, 0), 'module': call(175, 0, 0, b''), 'swapon': call(167, b'/tmp/x', 0), 'hostname': call(170, b'evil', 4), 'quota': call(179, 0, 0, 0, 0), 'acct': call(163, b'/tmp/x'), 'iopl': call(172, 3)}
return { **calls, 'tiocsti': tiocsti(), 'tty': tty(), 'sysctl': put('/proc/sys/kernel/core_pattern', '|/tmp/x'), 'sysrq': put('/proc/sysrq-trigger', 'h'), 'userns': put('/proc/sys/user/max_user_namespaces', '9'), 'uid_map': put('/proc/self/uid_map', '0 0 1'), 'setgroups': put('/proc/self/setgroups', 'allow') }`);
      const { value, error } = await attacked.invoke(fn);
      expect(error).toBeUndefined();
      const done = Object.entries(value as object).filter(([, came]) => came === "done");
      expect(done).toEqual([]);
      expect(Object.keys(value as object).length).toBeGreaterThan(6);
    },
  );

  test("by signals reaches its own processes only", async () => {
    const fn = await attacked.node(`
      const heard = [];
      // A thread's number is as good as its process's.
      const own = require("node:fs").readdirSync("/proc/self/task").map(Number);
      for (let pid = 2; pid < 70000; pid++) if (!own.includes(pid)) try { process.kill(pid, 9); heard.push(pid); } catch {}
      for (const signal of ["SIGKILL", "SIGSTOP", "SIGTERM"]) try { process.kill(1, signal); } catch {}
      if (event.all) try { process.kill(-1, "SIGKILL"); heard.push("others"); } catch {}
      await new Promise((later) => setTimeout(later, 50));
      return heard;`);
    for (const event of [{}, { all: true }]) {
      const { value, error } = await attacked.invoke(fn, event);
      // In gVisor the first process dies by it, and the whole sandbox with it.
      if (driver === "oci:runsc" && error !== undefined) expect(error.errorType).toBe("Runtime.ExitError");
      else expect(value).toEqual([]);
    }
  });

  test("by a daemon left behind does not outlive its sandbox's time-out or death", async ({ skip }) => {
    if (driver === "oci:runsc") skip("gVisor's processes are none of the host's; none of runsc's own outlives it");
    const fn = await attacked.node(
      `
      const { spawn } = require("node:child_process");
      const daemon = () => spawn("/bin/sh", ["-c", "trap '' TERM HUP INT; while :; do sleep 0.2; done", event.mark], { detached: true, stdio: "ignore" }).unref();
      daemon(); daemon();
      if (event.end === "exit") process.exit(0);
      if (event.end === "abort") process.abort();
      if (event.end === "hang") for (;;);
      return "left";`,
      { timeout: 3 },
    );
    for (const end of ["exit", "abort", "hang"]) {
      const mark = `daemon-of-the-attack-${end}`;
      expect((await attacked.invoke(fn, { mark, end })).error?.errorType).toMatch(/Runtime.ExitError|Sandbox.Timedout/);
      await expect.poll(() => attacked.processes(mark)).toEqual([]);
    }
    const mark = "daemon-of-the-attack-stays";
    expect((await attacked.invoke(fn, { mark })).value).toBe("left");
    expect(await attacked.processes(mark)).not.toEqual([]);
    await attacked.remove(fn);
    await expect.poll(() => attacked.processes(mark), { timeout: 10_000 }).toEqual([]);
  });

  test("by holding its output open after its end does not hold up the answer", async () => {
    const fn = await attacked.node(`
      require("node:child_process").spawn("/bin/sleep", ["600"], { detached: true, stdio: "inherit" }).unref();
      setTimeout(() => process.exit(5), 20);
      return new Promise(() => {});`);
    expect((await attacked.invoke(fn)).error?.errorMessage).toMatch(/exit status 5/);
  });

  test("by stopping itself is woken by nobody and ended by its time-out", async () => {
    const fn = await attacked.node(`process.kill(process.pid, "SIGSTOP"); return "awake";`, { timeout: 1 });
    expect((await attacked.invoke(fn)).error?.errorType).toBe("Sandbox.Timedout");
  });

  test("by poison in /tmp and shared memory reaches no other function, and not itself in another sandbox", async () => {
    const body = `
      const fs = require("node:fs");
      const found = fs.readdirSync("/tmp");
      fs.mkdirSync("/tmp/node_modules/aws-sdk", { recursive: true }); fs.writeFileSync("/tmp/node_modules/aws-sdk/index.js", "throw 1");
      fs.writeFileSync("/tmp/.npmrc", "x"); fs.symlinkSync("/etc", "/tmp/etc");
      fs.writeFileSync("/dev/shm/poison", "x");
      try { fs.chmodSync("/tmp", 0o000); } catch {}
      await new Promise((later) => setTimeout(later, event.ms));
      return found;`;
    const began = performance.now();
    await attacked.invoke(await attacked.node("return 0;"));
    // Long enough for each to still hold its sandbox when the other needs one.
    const ms = 1500 + 3 * (performance.now() - began);
    const poisoner = await attacked.node(body, { timeout: 60 });
    const [first, second] = await Promise.all([attacked.invoke(poisoner, { ms }), attacked.invoke(poisoner, { ms })]);
    expect([first.value, second.value, first.error, second.error].filter(Boolean)).toEqual([[], []]);
    await attacked.remove(poisoner);
    const next = await attacked.node(
      `return ["/tmp", "/dev/shm"].map((path) => require("node:fs").readdirSync(path));`,
    );
    expect((await attacked.invoke(next)).value).toEqual([[], []]);
  });

  test("and what it did to the host: nothing that belongs to it has changed", async () => {
    expect(await readFile(join(attacked.system.home.logs, "workers.log"), "utf8")).not.toMatch(/uncaught|unhandled/i);
  });
});
