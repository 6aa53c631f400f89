/**
 * The nats-server that tests run: found as `npm start` finds it, except that what must be fetched
 * stays with the installed packages, for the next test run.
 */
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { type FoundServer, findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import type { Home } from "../../bin/embedded/home.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../bin/embedded/nats-server.ts";
import { findFreePort } from "../../bin/embedded/port.ts";

const tools = fileURLToPath(new URL("../../node_modules/.cache/mayfly/tools", import.meta.url));

/** Undefined where none can be had; the tests that need one are skipped then, saying so. */
export async function anyServer(): Promise<FoundServer | undefined> {
  return findNatsServer({ tools }).catch(() => undefined);
}

export const stamp = { account: "000000000000", asyncShards: 8 };
export const property = {
  subjects: ["mayfly.worker.>"],
  queues: ["frontend"],
  workQueues: ["ASYNC_0"],
  buckets: ["FUNCTIONS"],
};

/** Starts one on any free port, stopped when the test ends. */
export async function started(
  home: Home,
  binary: string,
  options: Partial<NatsServerOptions> = {},
): Promise<NatsServer> {
  const server = await startNatsServer({ binary, home, property, stamp, port: await freePort(), ...options });
  onTestFinished(() => server.stop());
  return server;
}

/** A port that was free a moment ago. */
export const freePort = (): Promise<number> => findFreePort("127.0.0.1");
