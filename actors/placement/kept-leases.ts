/**
 * The leases as the LEASES bucket has them. Nobody waits for a write: who is lost is told as lost in the same moment. A write
 * that doesn't know of the latest one, because another placement made that, is not made.
 */
import { Lease } from "../../subjects/placement.ts";
import type { Bucket } from "../bus/storage.ts";

export class KeptLeases {
  readonly #bucket: Bucket;
  readonly #failed: (error: unknown) => void;
  /** By worker: the revision after all that was asked for so far, which are made one after another. */
  readonly #revisions = new Map<string, Promise<number | undefined>>();

  constructor(bucket: Bucket, failed: (error: unknown) => void) {
    this.#bucket = bucket;
    this.#failed = failed;
  }

  /** What was kept by the placement before. */
  async read(): Promise<readonly Lease[]> {
    const leases = new Map<string, Lease>();
    const upToDate = Promise.withResolvers<void>();
    const watch = await this.#bucket.watch(({ key, value, revision }) => {
      const lease = Lease.safeParse(value);
      // Mappings have theirs in the same bucket.
      if (!lease.success || lease.data.workerId !== key) return;
      leases.set(key, lease.data);
      this.#revisions.set(key, Promise.resolve(revision));
    }, upToDate.resolve);
    await upToDate.promise;
    watch.stop();
    return [...leases.values()];
  }

  keep(lease: Lease): void {
    const { workerId } = lease;
    this.#write(workerId, (revision) =>
      revision === undefined ? this.#bucket.create(workerId, lease) : this.#bucket.update(workerId, lease, revision),
    );
  }

  drop(workerId: string): void {
    this.#write(workerId, async (revision) => {
      if (revision !== undefined) await this.#bucket.delete(workerId, revision);
      return undefined;
    });
  }

  #write(workerId: string, write: (revision: number | undefined) => Promise<number | undefined>): void {
    const written = (this.#revisions.get(workerId) ?? Promise.resolve(undefined)).then(write).catch(async (error) => {
      this.#failed(error);
      // It may have been stored all the same.
      const entry = await this.#bucket.get(workerId).catch(() => undefined);
      return entry?.revision;
    });
    this.#revisions.set(workerId, written);
    void written.then((revision) => {
      if (revision === undefined && this.#revisions.get(workerId) === written) this.#revisions.delete(workerId);
    });
  }
}
