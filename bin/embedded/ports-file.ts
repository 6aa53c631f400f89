/**
 * Waiting for the file in which nats-server tells where it listens. It writes it once it accepts
 * connections, so the file is also the sign that it is ready.
 */
import { watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A look now and then, for file systems that tell of no changes. */
const lookEveryMs = 250;

/**
 * The client URL from the first complete ports file that appears in the folder.
 * @throws Error after `timeoutMs`, or when `abandoned` fires
 */
export function awaitPortsFile(folder: string, timeoutMs: number, abandoned: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = () =>
      readUrl(folder).then(
        (url) => url && settle(() => resolve(url)),
        () => {},
      );
    const changes = watchFolder(folder, look);
    const ticking = setInterval(look, lookEveryMs);
    const giveUp = setTimeout(
      () => settle(() => reject(new Error(`nats-server wasn't ready within ${timeoutMs / 1000} s`))),
      timeoutMs,
    );
    const abandon = () => settle(() => reject(new Error("nobody waits for nats-server any more")));
    abandoned.addEventListener("abort", abandon, { once: true });
    const settle = (outcome: () => void) => {
      clearInterval(ticking);
      clearTimeout(giveUp);
      changes?.close();
      abandoned.removeEventListener("abort", abandon);
      outcome();
    };
    look();
  });
}

function watchFolder(folder: string, look: () => void) {
  try {
    return watch(folder, look).on("error", () => {});
  } catch {
    return undefined;
  }
}

/** Undefined while there is no file, or one that is still being written. */
async function readUrl(folder: string): Promise<string | undefined> {
  const name = (await readdir(folder)).find((file) => file.endsWith(".ports"));
  if (!name) return undefined;
  const { nats } = JSON.parse(await readFile(join(folder, name), "utf8")) as { nats?: string[] };
  return nats?.[0];
}
