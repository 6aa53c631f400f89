/** Puts a worker together: driver, code cache, runtimes, its sandboxes and itself. */
import { existsSync, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Component } from "../../actors/bus/component.ts";
import { userOnHost } from "../../actors/sandbox/drivers/bubblewrap/premises.ts";
import { chooseDriver } from "../../actors/sandbox/drivers/choose.ts";
import type { Isolation, SandboxDriver } from "../../actors/sandbox/drivers/driver.ts";
import { EgressUnavailable, isAboutEgress } from "../../actors/sandbox/drivers/egress/network.ts";
import { Sandboxes } from "../../actors/sandbox/index.ts";
import {
  hostArchitecture,
  listRuntimes,
  resolveRuntime,
  WrongArchitecture,
  withLibraries,
} from "../../actors/sandbox/runtimes/catalogue.ts";
import { lambdaEnvironment } from "../../actors/sandbox/runtimes/environment.ts";
import { asksForFreshProcess, bringsExtensions, isWrapped } from "../../actors/sandbox/runtimes/hosting.ts";
import { StemCells } from "../../actors/sandbox/stem-cells/pool.ts";
import { enclosureFor, type SandboxWorld } from "../../actors/sandbox/world.ts";
import { CodeCache } from "../../actors/worker/code-cache.ts";
import { startWorker } from "../../actors/worker/index.ts";
import type { Config } from "../../config/config.ts";
import { findBubblewrap } from "../embedded/find-bubblewrap.ts";
import type { Process, Started } from "./context.ts";
import { serverAddressesOf } from "./server-addresses.ts";

const CODE_CACHE_BYTES = 10 * 1024 * 1024 * 1024;
const STOP_MS = 1000;
/** Within about so long a stem cell that was taken is replaced. */
const STEM_BURST_MS = 500;
/** The runtime that comes with Mayfly, and Lambda's own defaults. */
const STANDARD = { runtime: "nodejs24.x", memoryMiB: 128, tmpMiB: 512 } as const;

export async function runWorker(process: Process, { zone }: { readonly zone: string }): Promise<Started> {
  const { config, home, storage } = process;
  const bwrap = await findBubblewrap({ tools: home.tools });
  const { driver, isolation } = await chooseDriver(config.sandbox, {
    bwrapPath: bwrap.path,
    egress: { ...config.egress, platform: serverAddressesOf(process.connection) },
    // Sandboxes of root run as other users, who can't walk into its home; an ordinary user's run as that user.
    ...(userOnHost() === 0 ? {} : { home: home.sandboxes }),
  });
  const freezes = isolation.freezes && config.freezeMs > 0;
  const component = process.component("worker", "hosts sandboxes", { zone, isolation: inWords(isolation) });
  const cache = new CodeCache({ folder: join(home.code, zone), store: storage.code, maxBytes: CODE_CACHE_BYTES });
  const workerId = component.id;
  const stems = stemCells(component, driver, isolation, config);
  const sandboxes = new Sandboxes({
    component,
    workerId,
    isolation: isolation.driver,
    limits: { initMs: config.initMs, idleMs: config.idleMs, ...(freezes ? { freezeMs: config.freezeMs } : {}) },
    gone: (sandboxId) => worker.send(workerId, { type: "sandbox.reported", sandboxId, state: "dead" }),
    world: {
      driver,
      furnish: neverWithoutItsNetwork(isolation, furnishing(cache, home.root, config.region)),
      ...(stems ? { stems } : {}),
    },
  });
  const runtimes = await followRuntimes(home.root);
  await keepStandardStem(stems, home.root);
  const left = Promise.withResolvers<string>();
  const worker = startWorker({
    component,
    facts: {
      workerId,
      host: config.host,
      isolation: inWords(isolation),
      architecture: hostArchitecture,
      runtimes: runtimes.now,
    },
    zone,
    capacityMiB: config.workerMemoryMiB,
    beatMs: config.heartbeatMs,
    sandboxes,
    gone: () => left.resolve("drained"),
  });
  return {
    component,
    ended: left.promise,
    async stop() {
      worker.send(workerId, { type: "worker.drain", reason: "stopping" });
      const timer = setTimeout(() => left.resolve("out of time"), STOP_MS);
      await left.promise;
      clearTimeout(timer);
      runtimes.stop();
      await component.stop();
      await stems?.close();
      await driver.close();
      await cache.close();
    },
  };
}

/** Undefined where they are off, or nothing can be placed in a sandbox that runs. */
function stemCells(component: Component, driver: SandboxDriver, { latePlacement }: Isolation, config: Config) {
  const { perKind, total } = config.stemCells;
  if (!latePlacement || perKind === 0 || total === 0) return undefined;
  return new StemCells({
    driver,
    limits: { perKind, total, burstMs: STEM_BURST_MS, memoryMs: config.idleMs },
    nowMs: () => component.clock.us() / 1000,
    failed: (err) => component.log.warn({ err }, "a stem cell is lost"),
  });
}

/** What most functions are, so that the first of all finds one ready. */
async function keepStandardStem(stems: StemCells | undefined, home: string): Promise<void> {
  const runtime = await resolveRuntime(STANDARD.runtime, { home, memoryMiB: STANDARD.memoryMiB }).catch(
    () => undefined,
  );
  if (runtime !== undefined) stems?.keep(enclosureFor("standard", STANDARD, runtime), 1);
}

/** The runtimes this host can boot, kept current: `mayfly runtime install` adds one to a running worker. */
async function followRuntimes(home: string): Promise<{ now: () => readonly string[]; stop: () => void }> {
  const list = async () =>
    (await listRuntimes({ home })).flatMap(({ runtime, version }) => (version === null ? [] : [runtime]));
  let known = await list();
  const folder = join(home, "runtimes");
  await mkdir(folder, { recursive: true });
  const watcher = watch(folder, () => {
    // What can't be read now, while it is being installed, is read at its next change.
    list().then(
      (now) => {
        known = now;
      },
      () => {},
    );
  }).on("error", () => {});
  return { now: () => known, stop: () => watcher.close() };
}

/** A driver that says nothing about networks would give none: what asks for one isn't run by it. */
function neverWithoutItsNetwork(isolation: Isolation, furnish: SandboxWorld["furnish"]): SandboxWorld["furnish"] {
  const { driver, egress, lacks } = isolation;
  if (egress !== undefined || lacks.some(isAboutEgress)) return furnish;
  return async (spec, sandboxId) => {
    if (spec.egress === undefined) return furnish(spec, sandboxId);
    throw new EgressUnavailable(`sandboxes by ${driver} have none`, "Choose another driver (MAYFLY_SANDBOX).");
  };
}

/** Code and layers, the runtime, and the environment a function finds. */
function furnishing(cache: CodeCache, home: string, region: string): SandboxWorld["furnish"] {
  return async (spec, sandboxId) => {
    const inUse = new DisposableStack();
    try {
      const code = inUse.use(await cache.use(spec.codeSha256));
      const mounts = [{ from: code.folder, to: "/var/task" }];
      const layers =
        spec.layerSha256s.length === 0 ? undefined : inUse.use(await cache.useLayers(spec.layerSha256s)).folder;
      if (layers !== undefined) mounts.push({ from: layers, to: "/opt" });
      // It costs a program more, so only those pay whose layers have libraries.
      const hasLibraries = layers !== undefined && existsSync(join(layers, "lib"));
      if (spec.architecture !== hostArchitecture) throw new WrongArchitecture(spec.architecture);
      const lingers = await bringsExtensions(mounts);
      const runtime = await resolveRuntime(spec.runtime, {
        home,
        memoryMiB: spec.memoryMiB,
        ...(lingers || asksForFreshProcess(spec.environment)
          ? { host: { isWrapped: isWrapped(spec.environment) } }
          : {}),
      });
      const logLevel = spec.applicationLogLevel === undefined ? {} : { logLevel: spec.applicationLogLevel };
      const day = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
      return {
        // What a host starts has the whole environment from its beginning.
        command: hasLibraries && runtime.client === undefined ? withLibraries(runtime.command) : runtime.command,
        mounts: [...runtime.mounts, ...mounts],
        overheadMiB: runtime.overheadMiB,
        lingers,
        release: () => inUse.dispose(),
        init: {
          env: lambdaEnvironment({
            functionName: spec.fn,
            functionVersion: spec.version,
            handler: spec.handler,
            runtime: spec.runtime,
            memoryMiB: spec.memoryMiB,
            region,
            variables: spec.environment,
            logFormat: spec.logFormat,
            ...logLevel,
            logStreamName: `${day}/[${spec.version}]${sandboxId}`,
          }),
          handler: spec.handler,
          runtime: spec.runtime,
          taskRoot: "/var/task",
          functionName: spec.fn,
          functionVersion: spec.version,
          memoryMiB: spec.memoryMiB,
          logFormat: spec.logFormat,
          ...logLevel,
          accountId: spec.acct,
          ...(runtime.client === undefined ? {} : { client: runtime.client }),
        },
      };
    } catch (error) {
      inUse.dispose();
      throw error;
    }
  };
}

/** One line that says what is in force. */
export function inWords({
  driver,
  namespaces,
  seccomp,
  limits,
  uidPerSandbox,
  egress,
  freezes,
  latePlacement,
  lacks,
}: Isolation): string {
  const limited = Object.entries(limits).map(([what, how]) => `${what} ${how}`);
  return [
    driver,
    `namespaces ${namespaces.join("+")}`,
    seccomp ? "seccomp" : "no seccomp",
    `limits: ${limited.join(", ")}`,
    uidPerSandbox ? "own uid" : "shared uid",
    egress === undefined ? (lacks.find(isAboutEgress) ?? "no egress") : `egress by ${egress}`,
    freezes ? "frozen when idle" : "not frozen when idle",
    latePlacement ? "can be booted beforehand" : "never booted beforehand",
  ].join("; ");
}
