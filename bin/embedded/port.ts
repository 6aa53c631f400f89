/**
 * Choosing the server's TCP port: the one it had last time, so that what people configured still fits;
 * else the one people know; else any.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { writePrivately } from "./private-file.ts";

export interface PortChoice {
  /** -1: whichever the server finds free. */
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
  return { port: -1, note: `port ${preferred} is taken by another program, so a free one is used` };
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
