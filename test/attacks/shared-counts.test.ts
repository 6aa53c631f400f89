/**
 * Attacks on what the kernel has a fixed number of, for the whole host or for one user of it: terminals, asynchronous
 * files, timers, waiting signals, message queues, locked memory, watchers of files.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { testUnless } from "../support/unless.ts";
import { type Attacked, noPython, startAttacked, underEachDriver } from "./attacked.ts";

/** Takes what it can of each kind, in processes that go on holding it, or tries for one of it. */
const TAKER = `
import ctypes, errno, json, mmap, os, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    if result < 0: raise OSError(ctypes.get_errno(), 'refused')
    return result
def terminal(): return os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY)
def asynchronous(events=4096): return call(206, events, ctypes.byref(ctypes.c_ulong(0)))
def timer(): return call(222, 0, 0, ctypes.byref(ctypes.c_int(0)))
def queue(): return call(240, b'q%d' % len(held), 0o102, 0o666, 0)
def locked():
    area = mmap.mmap(-1, 1 << 16)
    call(149, ctypes.c_long(ctypes.addressof(ctypes.c_char.from_buffer(area))), 1 << 16)
    return area
def watcher(): return call(294, 0)
kinds = {'terminal': terminal, 'asynchronous': asynchronous, 'timer': timer, 'queue': queue, 'locked': locked, 'watcher': watcher}
held = []
def take(kind, most):
    while len(held) < most:
        try: held.append(kinds[kind]())
        except OSError as error: return [len(held), errno.errorcode[error.errno]]
    return [len(held), 'no end']
def hoard(kind, processes, most):
    taken = []
    for _ in range(processes):
        reads, writes = os.pipe()
        if os.fork() == 0:
            os.write(writes, json.dumps(take(kind, most)).encode())
            time.sleep(600)
        os.close(writes)
        taken.append(json.loads(os.read(reads, 4096)))
        os.close(reads)
    return taken
if event.get('try'): return take(event['try'], 1)
return hoard(event['kind'], event['processes'], event['most'])`;

const kinds = [
  { kind: "terminal", processes: 4, most: 1000 },
  { kind: "asynchronous", processes: 1, most: 100 },
  { kind: "timer", processes: 1, most: 120_000 },
  { kind: "queue", processes: 1, most: 100 },
  { kind: "locked", processes: 1, most: 200 },
  // An ordinary user's sandboxes have them in common.
  ...(process.geteuid?.() === 0 ? [{ kind: "watcher", processes: 1, most: 900 }] : []),
];

/** Rejects where this host's user is refused one. */
const watchOnHost = () => promisify(execFile)(process.execPath, ["-e", "fs.watch('/').close()"]);

const onHost = async () => {
  const read = async (path: string) => Number(await readFile(path, "utf8"));
  return { terminals: await read("/proc/sys/kernel/pty/nr"), asynchronous: await read("/proc/sys/fs/aio-nr") };
};

underEachDriver("under %s, a function that takes all there is of something", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  testUnless(noPython)("leaves another its part, and the host's counts as they were", async () => {
    const plan = { memory: 512, timeout: 30 };
    const [taker, other] = [await attacked.python(TAKER, plan), await attacked.python(TAKER, plan)];
    const alone = await Promise.all(kinds.map(async ({ kind }) => (await attacked.invoke(other, { try: kind })).value));
    const before = await onHost();
    for (const each of kinds) {
      const { value, error } = await attacked.invoke(taker, each);
      // gVisor has timers of its own without end, and they count as the function's memory.
      if (driver !== "oci:runsc") expect(error, JSON.stringify(value)).toBeUndefined();
    }
    const beside = await Promise.all(
      kinds.map(async ({ kind }) => (await attacked.invoke(other, { try: kind })).value),
    );
    expect(beside).toEqual(alone);
    if (kinds.some(({ kind }) => kind === "watcher")) await watchOnHost();
    const after = await onHost();
    expect(after.terminals - before.terminals).toBeLessThan(100);
    expect(after.asynchronous - before.asynchronous).toBeLessThan(10_000);
  });
});
