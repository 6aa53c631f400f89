/**
 * Choosing the server's TCP port: the one it had last time, so that what people configured still fits;
 * else the one people know; else any.
 *
 * Any, but none of those the kernel lends to outgoing connections: while a crashed server is on its way back, whoever
 * looks for it may be lent its very port, be connected to itself, and keep the server out.
 */
import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { writePrivately } from "./private-file.ts";

export interface PortChoice {
  readonly port: number;
  /** Set when the preferred port isn't the one: a line for the person who started it. */
  readonly note?: string;
}

/** Whether a server could listen there now. A moment later it may be otherwise. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * Chooses by looking at what is free now. `file` remembers the last port; it counts only for the
 * same preference, so that asking for another port takes effect.
 */
export async function choosePort(host: string, preferred: number, file: string): Promise<PortChoice> {
  const last = await readLast(file, preferred);
  if (last !== undefined && last !== preferred && (await isPortFree(host, last))) {
    return { port: last, note: `listening on port ${last}, as last time, because ${preferred} was taken then` };
  }
  if (await isPortFree(host, preferred)) return { port: preferred };
  return {
    port: await findFreePort(host),
    note: `port ${preferred} is taken by another program, so a free one is used`,
  };
}

/** What Linux begins to lend at where it isn't asked, and the least that anybody may listen on. */
const LENT_FROM = 32_768;
const LOWEST = 1024;
const LOOKS = 200;

/** @throws Error when none was found */
export async function findFreePort(host: string): Promise<number> {
  const range = await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").catch(() => "");
  const lentFrom = Number.parseInt(range, 10) || LENT_FROM;
  const [from, to] = lentFrom > LOWEST * 2 ? [Math.max(LOWEST, lentFrom - 20_000), lentFrom] : [LOWEST, 65_536];
  for (let look = 0; look < LOOKS; look++) {
    const port = randomInt(from, to);
    if (await isPortFree(host, port)) return port;
  }
  throw new Error(`no free port was found between ${from} and ${to}`);
}

export async function rememberPort(file: string, preferred: number, port: number): Promise<void> {
  await writePrivately(file, JSON.stringify({ preferred, port }));
}

async function readLast(file: string, preferred: number): Promise<number | undefined> {
  try {
    const kept = JSON.parse(await readFile(file, "utf8")) as { preferred?: number; port?: number };
    return kept.preferred === preferred && Number.isInteger(kept.port) ? kept.port : undefined;
  } catch {
    return undefined;
  }
}
