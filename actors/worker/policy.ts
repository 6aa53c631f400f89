/** Which sandboxes have to go for a new one. */

export interface IdleSandbox {
  readonly sandboxId: string;
  readonly memoryMiB: number;
  /** Monotonic microseconds of its last use. */
  readonly lastUsedUs: number;
}

/**
 * The idle sandboxes to stop so that `needMiB` fit, least recently used first and no more than needed; `undefined` when
 * even all of them would not make room.
 */
export function makeRoom(
  capacityMiB: number,
  sandboxes: Readonly<Record<string, number>>,
  needMiB: number,
  idle: readonly IdleSandbox[],
): readonly string[] | undefined {
  let freeMiB = capacityMiB - Object.values(sandboxes).reduce((sum, each) => sum + each, 0);
  const evicted: string[] = [];
  for (const each of [...idle].sort((a, b) => a.lastUsedUs - b.lastUsedUs)) {
    if (freeMiB >= needMiB) break;
    freeMiB += each.memoryMiB;
    evicted.push(each.sandboxId);
  }
  return freeMiB >= needMiB ? evicted : undefined;
}
