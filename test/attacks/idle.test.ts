/** Attacks that want to go on: what a function leaves running when it has answered, looked at from outside. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Attacked, startAttacked, underEachDriver } from "./attacked.ts";

const GROUPS = "/sys/fs/cgroup";
/** Without groups of the worker's own nothing can be frozen: `mayfly up` has said so. */
let freezes = false;

/** What the kernel says of whether they stand still, in its words of either generation. */
async function stateOfItsGroups(pid: number): Promise<string> {
  const groups = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  const files = groups.flatMap((group) => {
    const [, controllers = "", path = ""] = group.split(":");
    if (controllers === "freezer") return [join(GROUPS, "freezer", path, "freezer.state")];
    return controllers === "" ? ["", "unified"].map((root) => join(GROUPS, root, path, "cgroup.events")) : [];
  });
  return (await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")))).join("");
}

underEachDriver("under %s, a function that has answered", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
    freezes = !attacked.system.output().includes("not frozen when idle");
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  /** Resolves when a sandbox of `fn` has been frozen. */
  const frozen = async (fn: string): Promise<void> => {
    for await (const message of attacked.nats.subscribe("mayfly.state.sandbox.*")) {
      const { id, to } = message.json<{ id: string; to: string }>();
      if (to === "idle.frozen" && sandboxes.get(fn)?.includes(id)) return;
    }
  };
  /** By function: where its calls ran. */
  const sandboxes = new Map<string, string>();
  const invoke = async (fn: string) => {
    const { value, reply } = await attacked.invoke(fn);
    sandboxes.set(fn, reply.headers?.get("Mayfly-Sandbox") ?? "");
    return value;
  };

  test("has timers that stand still until it is invoked again, and then go on", async ({ skip }) => {
    if (!freezes) skip("this host can't freeze");
    const fn = await attacked.node(
      `globalThis.gap ??= 0;
       let last = performance.now();
       globalThis.timer ??= setInterval(() => {
         const now = performance.now();
         globalThis.gap = Math.max(globalThis.gap, now - last);
         globalThis.ticks = (globalThis.ticks ?? 0) + 1;
         last = now;
       }, 1);
       const before = globalThis.ticks ?? 0;
       while ((globalThis.ticks ?? 0) < before + 20) await new Promise((resolve) => setTimeout(resolve, 1));
       return globalThis.gap;`,
    );
    const still = frozen(fn);
    await invoke(fn);
    await still;
    const from = performance.now();
    for (let call = 0; call < 500; call++) await attacked.isUnharmed();
    const frozenMs = performance.now() - from;
    // The answer alone shows that the timer goes on: it waits for it.
    expect(await invoke(fn), "ms between two ticks").toBeGreaterThan(frozenMs / 2);
  });

  test("has children that use no processor, and doesn't get them back by its end", async ({ skip }) => {
    if (driver === "oci:runsc") skip("of gVisor's processes the host sees none");
    if (!freezes) skip("this host can't freeze");
    const fn = await attacked.node(
      `globalThis.child ??= require("node:child_process").spawn("/bin/sh", ["-c", "while :; do :; done", "spinner-of-the-attack"]);
       return globalThis.child.pid;`,
    );
    const still = frozen(fn);
    await invoke(fn);
    await still;
    const [pid = 0] = await attacked.processes("spinner-of-the-attack");
    const ticks = async () => (await readFile(`/proc/${pid}/stat`, "utf8")).split(" ").slice(13, 15).join();
    // The kernel stops it at its next way through the scheduler.
    await expect.poll(() => stateOfItsGroups(pid), { timeout: 10_000 }).toMatch(/FROZEN|frozen 1/);
    const before = await ticks();
    for (let call = 0; call < 200; call++) await attacked.isUnharmed();
    expect(await ticks()).toBe(before);
    await attacked.remove(fn);
    await expect.poll(() => attacked.processes("spinner-of-the-attack"), { timeout: 10_000 }).toEqual([]);
  });
});
