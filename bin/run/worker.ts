/** Puts a worker together: driver, code cache, runtimes, its sandboxes and itself. */
import { existsSync, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Component } from "../../actors/bus/component.ts";
import type { Isolation, Mount, SandboxDriver } from "../../actors/sandbox/drivers/driver.ts";
import { onHost } from "../../actors/sandbox/drivers/process/paths.ts";
import { Sandboxes } from "../../actors/sandbox/index.ts";
import type { RuntimeInit } from "../../actors/sandbox/runtime-init.ts";
import {
  hostArchitecture,
  runtimeVersion,
  WrongArchitecture,
  withLibraries,
} from "../../actors/sandbox/runtimes/catalogue.ts";
import { lambdaEnvironment } from "../../actors/sandbox/runtimes/environment.ts";
import { asksForFreshProcess, bringsExtensions, isWrapped } from "../../actors/sandbox/runtimes/hosting.ts";
import { RememberedRuntimes } from "../../actors/sandbox/runtimes/remembered.ts";
import { StemCells } from "../../actors/sandbox/stem-cells/pool.ts";
import { streamPaceOf } from "../../actors/sandbox/stream-pace.ts";
import { enclosureFor, type SandboxWorld } from "../../actors/sandbox/world.ts";
import { BytecodeStore } from "../../actors/worker/bytecode-store.ts";
import { CodeCache } from "../../actors/worker/code-cache.ts";
import { startWorker } from "../../actors/worker/index.ts";
import type { Config } from "../../config/config.ts";
import { poolId } from "../../subjects/function.ts";
import { bytecodeFor } from "./bytecode.ts";
import type { Process, Started } from "./context.ts";
import { inWords, openDriver } from "./isolation.ts";
import { serverAddressesOf } from "./server-addresses.ts";

const CODE_CACHE_BYTES = 10 * 1024 * 1024 * 1024;
const MIB = 1024 * 1024;
/** Remembered at a time; who is forgotten is noticed again. */
const HOSTED_POOLS = 1000;
const STOP_MS = 1000;
/** Within about so long a stem cell that was taken is replaced. */
const STEM_BURST_MS = 500;
/** The runtime that comes with Mayfly, and Lambda's own defaults. */
const STANDARD = { runtime: "nodejs24.x", memoryMiB: 128, tmpMiB: 512 } as const;

export async function runWorker(process: Process, { zone }: { readonly zone: string }): Promise<Started> {
  const { config, home, storage } = process;
  const { driver, isolation } = await openDriver(config, home, serverAddressesOf(process.connection));
  const freezes = isolation.freezes && config.freezeMs > 0;
  const component = process.component("worker", "hosts sandboxes", { zone, isolation: inWords(isolation) });
  const cache = new CodeCache({ folder: join(home.code, zone), store: storage.code, maxBytes: CODE_CACHE_BYTES });
  const bytecode = bytecodeStore(component, join(home.bytecode, zone), config);
  const workerId = component.id;
  const known = new RememberedRuntimes(home.root);
  const stems = stemCells(component, driver, isolation, config);
  const sandboxes = new Sandboxes({
    component,
    workerId,
    isolation: isolation.driver,
    limits: { initMs: config.initMs, idleMs: config.idleMs, ...(freezes ? { freezeMs: config.freezeMs } : {}) },
    gone: (sandboxId) => worker.send(workerId, { type: "sandbox.reported", sandboxId, state: "dead" }),
    world: {
      driver,
      streamPace: streamPaceOf(config.streamRate),
      furnish: furnishing({ cache, bytecode }, known, config.region, isolation),
      ...(stems ? { stems } : {}),
    },
  });
  const runtimes = await followRuntimes(home.root, known);
  await keepStandardStem(stems, known);
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
  void driver.lost?.then((reason) => {
    component.log.error(
      { reason },
      "no sandbox can be made any more: what runs is finished, and then another worker begins",
    );
    worker.send(workerId, { type: "worker.drain", reason });
  });
  return {
    component,
    ended: left.promise,
    async stop() {
      worker.send(workerId, { type: "worker.drain", reason: "stopping" });
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        left.resolve("out of time");
        late.resolve();
      }, STOP_MS);
      // Extensions are given their time, as far as there is any.
      await Promise.race([left.promise.then(() => sandboxes.gone()), late.promise]);
      clearTimeout(timer);
      runtimes.stop();
      await component.stop();
      await stems?.close();
      await driver.close();
      await cache.close();
      await bytecode?.close();
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

/** Undefined where none is to be kept. */
function bytecodeStore(component: Component, folder: string, { bytecodeMiB }: Config): BytecodeStore | undefined {
  if (bytecodeMiB === 0) return undefined;
  return new BytecodeStore({
    folder,
    maxBytes: bytecodeMiB * MIB,
    nowMs: () => component.clock.us() / 1000,
    failed: (err) => component.log.warn({ err }, "bytecode is lost"),
  });
}

interface Kept {
  readonly cache: CodeCache;
  readonly bytecode: BytecodeStore | undefined;
}

/** What most functions are, so that the first of all finds one ready. */
async function keepStandardStem(stems: StemCells | undefined, known: RememberedRuntimes): Promise<void> {
  const runtime = await known.resolve(STANDARD.runtime, { memoryMiB: STANDARD.memoryMiB }).catch(() => undefined);
  if (runtime !== undefined) stems?.keep(enclosureFor("standard", STANDARD, runtime), 1);
}

/** The runtimes this host can boot, kept current: `mayfly runtime install` adds one to a running worker. */
async function followRuntimes(
  home: string,
  runtimes: RememberedRuntimes,
): Promise<{ now: () => readonly string[]; stop: () => void }> {
  let known = await runtimes.list();
  const folder = join(home, "runtimes");
  await mkdir(folder, { recursive: true });
  const watcher = watch(folder, () => {
    runtimes.forget();
    // What can't be read now, while it is being installed, is read at its next change.
    runtimes.list().then(
      (now) => {
        known = now;
      },
      () => {},
    );
  }).on("error", () => {});
  return { now: () => known, stop: () => watcher.close() };
}

/** Code and layers, the runtime, and the environment a function finds. */
function furnishing(
  { cache, bytecode: store }: Kept,
  known: RememberedRuntimes,
  region: string,
  { ownRoot }: Isolation,
): SandboxWorld["furnish"] {
  /** Pools whose functions were seen to ask for the host. */
  const hosted = new Set<string>();
  return async (spec, sandboxId, wantsHost) => {
    if (wantsHost) {
      if (hosted.size >= HOSTED_POOLS) hosted.clear();
      hosted.add(poolId(spec));
    }
    const inUse = new DisposableStack();
    try {
      const code = inUse.use(await cache.use(spec.codeSha256));
      const mounts = [{ from: code.folder, to: "/var/task" }];
      const layerSet = spec.layerSha256s.length === 0 ? undefined : inUse.use(await cache.useLayers(spec.layerSha256s));
      const layers = layerSet?.folder;
      if (layers !== undefined) mounts.push({ from: layers, to: "/opt" });
      // It costs a program more, so only those pay whose layers have libraries.
      const hasLibraries = layers !== undefined && existsSync(join(layers, "lib"));
      if (spec.architecture !== hostArchitecture) throw new WrongArchitecture(spec.architecture);
      const lingers = await bringsExtensions(mounts);
      const runtime = await known.resolve(spec.runtime, {
        memoryMiB: spec.memoryMiB,
        ...(lingers || asksForFreshProcess(spec.environment) || hosted.has(poolId(spec))
          ? { host: { isWrapped: isWrapped(spec.environment) } }
          : {}),
      });
      const bytecode = store && bytecodeFor(store, spec, runtime);
      const logLevel = spec.applicationLogLevel === undefined ? {} : { logLevel: spec.applicationLogLevel };
      const day = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
      mounts.unshift(...runtime.mounts);
      const seen = (init: RuntimeInit) => (ownRoot ? init : seenOnHost(init, mounts));
      return {
        // What a host starts has the whole environment from its beginning.
        command: hasLibraries && runtime.client === undefined ? withLibraries(runtime.command) : runtime.command,
        mounts,
        overheadMiB: runtime.overheadMiB,
        lingers,
        isThere: () => code.isThere() && layerSet?.isThere() !== false,
        ...(bytecode === undefined ? {} : { bytecode }),
        release: () => inUse.dispose(),
        init: seen({
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
          runtimeVersion: runtimeVersion(spec.runtime, runtime),
          taskRoot: "/var/task",
          functionName: spec.fn,
          functionVersion: spec.version,
          memoryMiB: spec.memoryMiB,
          logFormat: spec.logFormat,
          ...logLevel,
          accountId: spec.acct,
          ...(runtime.client === undefined ? {} : { client: runtime.client }),
        }),
      };
    } catch (error) {
      inUse.dispose();
      throw error;
    }
  };
}

/** What a function finds that has no root of its own: the host's paths, and whatever port is free. */
function seenOnHost(init: RuntimeInit, mounts: readonly Mount[]): RuntimeInit {
  const env = Object.entries(init.env).map(([name, value]) => [name, onHost(value, mounts)]);
  return {
    ...init,
    env: Object.fromEntries(env),
    taskRoot: onHost(init.taskRoot, mounts),
    layersRoot: onHost("/opt", mounts),
    ...(init.client === undefined ? {} : { client: init.client.map((word) => onHost(word, mounts)) }),
    runtimeApi: "127.0.0.1:0",
  };
}
