/** A store of packages in memory, for the code cache. */
import { createHash } from "node:crypto";
import { type HandMadeEntry, handMadeZip } from "../support/hand-made-zip.ts";

/** Counts how often it is asked. */
export class Shelf {
  readonly packages = new Map<string, Uint8Array>();
  fetches = 0;
  add(entries: readonly HandMadeEntry[]): string {
    return this.addBytes(handMadeZip(entries));
  }
  addBytes(zip: Uint8Array): string {
    const sha256 = createHash("sha256").update(zip).digest("hex");
    this.packages.set(sha256, zip);
    return sha256;
  }
  async get(sha256: string): Promise<Uint8Array | undefined> {
    this.fetches += 1;
    return this.packages.get(sha256);
  }
}
