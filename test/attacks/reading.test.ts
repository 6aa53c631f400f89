/** Attacks that want to know: what belongs to the host, to the platform, and to another function on the same worker. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { credentialsOf } from "../../bin/embedded/credentials.ts";
import { testUnless } from "../support/unless.ts";
import { type Attacked, noPython, SECRET, startAttacked, underEachDriver } from "./attacked.ts";

const HOST_SECRET = `secret-of-the-host-${randomUUID()}`;

underEachDriver("under %s, a function that wants to read", (driver) => {
  let attacked: Attacked;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "mayfly-bait-"));
    await writeFile(join(folder, "bait"), HOST_SECRET);
    attacked = await startAttacked({ HOST_SECRET, MAYFLY_SANDBOX: driver });
  });
  afterAll(async () => {
    await attacked?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(() => attacked.isUnharmed());

  test("the host's files finds none of them, by name or through any link of /proc", async () => {
    const fn = await attacked.node(`
      const { readFileSync, readdirSync } = require("node:fs");
      const roots = ["", "/proc/1/root", "/proc/self/root", "/proc/1/cwd/../..", "/proc/1/cwd/../../../../..", "/../../..", "/var/task/../../../.."];
      const read = [];
      for (const root of roots) for (const path of event.paths) {
        try { readFileSync(root + path); read.push(root + path); } catch {}
      }
      const listed = {};
      for (const path of ["/root", "/home", "/run", "/srv", "/mnt", "/media", "/boot", "/sys"]) {
        try { listed[path] = readdirSync(path); } catch {}
      }
      return { read, listed };`);
    const { home } = attacked.system;
    const paths = [
      join(folder, "bait"),
      home.root,
      home.logs,
      "/etc/shadow",
      "/etc/machine-id",
      "/etc/ssh/ssh_host_ed25519_key",
      "/root/.bashrc",
    ];
    expect((await attacked.invoke(fn, { paths })).value).toEqual({ read: [], listed: {} });
  });

  test("whatever can be opened finds neither the neighbour's secrets, nor the host's, nor the platform's", async () => {
    const fn = await attacked.node(
      `
      const { openSync, readSync, closeSync, readdirSync, lstatSync } = require("node:fs");
      const { join } = require("node:path");
      const piece = Buffer.alloc(1 << 18);
      const found = [];
      let files = 0;
      const look = (path) => {
        let info; try { info = lstatSync(path); } catch { return; }
        if (info.isDirectory()) { let names = []; try { names = readdirSync(path); } catch {} for (const name of names) look(join(path, name)); return; }
        // Blocks for ever, or is our own memory, which holds what we look for.
        if (!info.isFile() || /kmsg|\\/mem$|pagemap|clear_refs|\\/sys\\/kernel\\/debug/.test(path)) return;
        let fd; try { fd = openSync(path, "r"); } catch { return; }
        try { files += 1; const n = readSync(fd, piece, 0, piece.length, 0); const text = piece.latin1Slice(0, n);
          for (const secret of event.secrets) if (text.includes(secret)) found.push(path); } catch {} finally { closeSync(fd); }
      };
      for (const path of event.places) look(path);
      return { found, files };`,
      { timeout: 30 },
    );
    const { mayfly, platform } = await credentialsOf(attacked.system.home);
    const secrets = [SECRET, HOST_SECRET, mayfly.password, platform.password];
    const places = ["/proc", "/tmp", "/dev", "/var", "/etc", "/opt"];
    // The host's own additions are many, and gVisor of 2022 takes a minute for them.
    if (driver !== "oci:runsc") places.push("/usr/local");
    const { value } = await attacked.invoke(fn, { secrets, places });
    expect(value).toEqual({ found: [], files: expect.any(Number) });
    expect((value as { files: number }).files).toBeGreaterThan(100);
  });

  test("its own environment finds nothing of the worker's", async () => {
    const fn = await attacked.node(`return { ...process.env };`);
    const { value } = await attacked.invoke(fn);
    const names = Object.keys(value as object).filter((name) => /MAYFLY|NATS|SECRET|PASSWORD|TOKEN/.test(name));
    expect(names).toEqual([]);
    expect(JSON.stringify(value)).not.toContain(HOST_SECRET);
  });

  testUnless(noPython)(
    "the memory of others finds nobody else's: the only other process is the sandbox's own first one, confined as it is itself",
    async () => {
      const fn = await attacked.python(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
pids = sorted(int(n) for n in os.listdir('/proc') if n.isdigit())
opened = []
for pid in pids:
    if pid == os.getpid(): continue
    try:
        maps = open('/proc/%d/maps' % pid).read().splitlines()
        memory = open('/proc/%d/mem' % pid, 'rb', 0)
        start = int(maps[0].split('-')[0], 16)
        memory.seek(start); memory.read(16); opened.append('read %d' % pid)
        try:
            open('/proc/%d/mem' % pid, 'r+b', 0); opened.append('write %d' % pid)
        except OSError: pass
    except OSError: pass
peeks = []
for target in range(1, 64):
    if target != os.getpid() and libc.syscall(101, 16, target, 0, 0) == 0: peeks.append(target)
first = dict(line.split(':\\t') for line in open('/proc/1/status').read().splitlines() if ':\\t' in line)
return { 'others': [p for p in pids if p not in (1, os.getpid())], 'peeks': peeks, 'opened': [o for o in opened if not o.endswith(' 1')],
    'first': [first.get(name) for name in ('CapEff', 'Seccomp', 'NoNewPrivs', 'CapBnd')] }`);
      const none = "0".repeat(16);
      expect((await attacked.invoke(fn)).value).toEqual({
        others: [],
        peeks: [],
        opened: [],
        // gVisor's status tells less.
        first: driver === "oci:runsc" ? [none, "2", null, expect.anything()] : [none, "2", "1", none],
      });
    },
  );

  test("the kernel's memory and messages finds them empty or shut", async () => {
    const fn = await attacked.node(`
      const { openSync, readSync } = require("node:fs");
      const got = {};
      for (const path of ["/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/keys", "/proc/config.gz", "/proc/iomem", "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/proc/sysrq-trigger", "/sys/kernel/debug"]) {
        try { const n = readSync(openSync(path, "r"), Buffer.alloc(4096), 0, 4096, 0); if (n > 0) got[path] = n; } catch {}
      }
      return got;`);
    expect((await attacked.invoke(fn)).value).toEqual({});
  });

  test("the host's sockets, named and abstract, reaches none", async () => {
    const names = [join(folder, "named.sock"), `\0mayfly-bait-${process.pid}`];
    let caught = 0;
    const caughtOne = (socket: Socket) => {
      caught += 1;
      socket.end();
    };
    const baits = names.map((name) => createServer(caughtOne).listen(name));
    try {
      const fn = await attacked.node(`
        const { connect } = require("node:net");
        return Promise.all(event.names.map((name) => new Promise((tell) => connect({ path: name }).on("connect", () => tell("reached")).on("error", (error) => tell(error.code)))));`);
      const { value } = await attacked.invoke(fn, { names });
      expect(value).toEqual(["ENOENT", "ECONNREFUSED"]);
      expect(caught).toBe(0);
    } finally {
      await Promise.all(baits.map((bait) => new Promise((closed) => bait.close(closed))));
    }
  });

  test("a sandbox that runs beside it finds its /tmp, code and processes out of sight", async () => {
    const other = await attacked.node(`
      const fs = require("node:fs");
      fs.writeFileSync("/tmp/left-by-other", "x"); fs.writeFileSync("/dev/shm/left-by-other", "x");
      return new Promise((done) => setTimeout(done, event.ms, "done"));`);
    const fn = await attacked.node(`
      const fs = require("node:fs");
      return { tmp: fs.readdirSync("/tmp"), shm: fs.readdirSync("/dev/shm"), task: fs.readdirSync("/var/task"),
        pids: fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length };`);
    const running = attacked.invoke(other, { ms: 1500 });
    expect((await attacked.invoke(fn)).value).toEqual({ tmp: [], shm: [], task: ["index.js"], pids: 2 });
    expect((await running).value).toBe("done");
  });

  test("what a crashed sandbox left to the next finds an empty place, and no core dump on the host", async () => {
    const crashed = await attacked.node(`require("node:fs").writeFileSync("/tmp/loot", "x"); process.abort();`);
    expect((await attacked.invoke(crashed)).error).toMatchObject({ errorType: "Runtime.ExitError" });
    const fn = await attacked.node(`return require("node:fs").readdirSync("/tmp");`);
    expect((await attacked.invoke(fn)).value).toEqual([]);
    // gVisor knows no core dumps.
    if (driver === "oci:runsc") return;
    const limits = await attacked.node(`return require("node:fs").readFileSync("/proc/self/limits", "utf8");`);
    expect((await attacked.invoke(limits)).value).toMatch(/Max core file size\s+1\s+1\s/);
  });
});
