/**
 * A host user of its own for each sandbox, so that the kernel keeps concurrent sandboxes apart even where a namespace
 * would not: their processes can't signal each other, and limits per user are limits per sandbox.
 *
 * Workers of one host share no file about it: each claims a slot of the range by binding an abstract Unix socket,
 * which the kernel grants to one process only and takes back when that process dies.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";

export interface UidRange {
  readonly first: number;
  readonly count: number;
}

/** How many users one worker holds: more than the sandboxes any worker runs. */
const SLOT_SIZE = 1000;

/** Tried in turn. The first lies above all that systemd and subuid files give away; the second fits in a container's map. */
const defaultRanges: readonly UidRange[] = [
  { first: 1_879_048_192, count: 200 * SLOT_SIZE },
  { first: 40_000, count: 20 * SLOT_SIZE },
];

const CAP_SETGID = 6;
const CAP_SETUID = 7;

export class UidPool {
  readonly range: UidRange;
  readonly #claim: Server;
  readonly #taken = new Set<number>();
  #next = 0;

  constructor(range: UidRange, claim: Server) {
    this.range = range;
    this.#claim = claim;
  }

  /** A user (and group of the same number) no living sandbox has; the longest unused of them. */
  take(): number {
    for (let tried = 0; tried < this.range.count; tried++) {
      const uid = this.range.first + (this.#next++ % this.range.count);
      if (this.#taken.has(uid)) continue;
      this.#taken.add(uid);
      return uid;
    }
    throw new Error(`all ${this.range.count} sandbox users of this worker are taken`);
  }

  giveBack(uid: number): void {
    this.#taken.delete(uid);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#claim.close(() => resolve()));
  }
}

/**
 * Claims a slot of `range` (or of a default one). Undefined when this process may not become other users: it isn't
 * root, or is root only of a user namespace that knows no others.
 */
export async function claimUids(range?: UidRange): Promise<UidPool | undefined> {
  if (!(await mayChangeUser())) return undefined;
  const maps = await Promise.all(["uid_map", "gid_map"].map((file) => readFile(`/proc/self/${file}`, "utf8")));
  const chosen = (range ? [range] : defaultRanges).find((each) => maps.every((map) => covers(map, each)));
  if (!chosen) return undefined;
  for (let first = chosen.first; first < chosen.first + chosen.count; first += SLOT_SIZE) {
    const claim = await bindOnce(`\0mayfly-sandbox-users-${first}`);
    const count = Math.min(SLOT_SIZE, chosen.first + chosen.count - first);
    if (claim) return new UidPool({ first, count }, claim);
  }
  return undefined;
}

/** Whether a `/proc/<pid>/uid_map` text has all of `range` in one of its lines (`inside outside length`). */
export function covers(map: string, range: UidRange): boolean {
  return map
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some(([inside = 0, , length = 0]) => inside <= range.first && range.first + range.count <= inside + length);
}

async function mayChangeUser(): Promise<boolean> {
  if (process.geteuid?.() !== 0) return false;
  const status = await readFile("/proc/self/status", "utf8");
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return [CAP_SETGID, CAP_SETUID].every((bit) => ((capabilities >> BigInt(bit)) & 1n) === 1n);
}

function bindOnce(name: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}
