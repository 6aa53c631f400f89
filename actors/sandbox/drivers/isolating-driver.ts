/**
 * What the drivers that isolate have in common: premises that open at the first use, enclosures that are made in them, and
 * an end that leaves nothing. A driver of its own adds how a life begins.
 */
import { access } from "node:fs/promises";
import type { Egress } from "../../../subjects/egress.ts";
import type { Booted, DriverName, Enclosure, EnclosureSpec, Isolation, SandboxDriver } from "./driver.ts";
import type { NetworkPlan } from "./egress/network.ts";
import { KeptEnclosure } from "./kept-enclosure.ts";
import type { Premises } from "./premises.ts";
import { type Berth, type Overhead, type Reserved, reserve } from "./reserve.ts";

/** How one program makes sandboxes; `Place` is the premises with what it adds to them, `Made` what it may make beforehand. */
export interface Maker<Place extends { readonly premises: Premises }, Made extends Berth = Berth> {
  readonly name: DriverName;
  /** Throws `IsolationUnavailable`, leaving nothing, where its program isn't here or can't be used. */
  open(): Promise<Place>;
  /** Tries a sandbox of `driver`. Throws `IsolationUnavailable`. */
  examine(place: Place, driver: SandboxDriver): Promise<Isolation>;
  overhead(place: Place): Overhead;
  /** One that was made beforehand, and now is one sandbox's; undefined where there is none. */
  berth?(place: Place): Made | undefined;
  /**
   * Of a sandbox whose group is `gid`; undefined for the worker's own. Rejects with `EgressUnavailable` where none can be
   * had, with `EgressForbidden` for a destination that may not be.
   */
  planNetwork(place: Place, egress: Egress, gid: number | undefined): Promise<NetworkPlan>;
  /** Prepares what every life of the enclosure begins with; gives how one begins. */
  prepare(place: Place, spec: EnclosureSpec, reserved: Reserved<Made>): Promise<() => Promise<Booted>>;
}

export class IsolatingDriver<Place extends { readonly premises: Premises }, Made extends Berth = Berth>
  implements SandboxDriver
{
  readonly name: DriverName;
  readonly #maker: Maker<Place, Made>;
  readonly #enclosures = new Set<KeptEnclosure>();
  /** Those under way, each settled without error. */
  readonly #creations = new Set<Promise<void>>();
  #place: Promise<Place> | undefined;
  #isolation: Promise<Isolation> | undefined;
  #closed: Promise<void> | undefined;
  readonly #lost = Promise.withResolvers<string>();
  readonly lost = this.#lost.promise;

  constructor(maker: Maker<Place, Made>) {
    this.name = maker.name;
    this.#maker = maker;
  }

  probe(): Promise<Isolation> {
    this.#isolation ??= this.#open().then((place) => this.#maker.examine(place, this));
    return this.#isolation;
  }

  async create(spec: EnclosureSpec): Promise<Enclosure> {
    const place = await this.#open();
    const creation = this.#create(place, spec);
    const settled = creation.then(
      () => {},
      () => this.#wonder(place),
    );
    this.#creations.add(settled);
    settled.finally(() => this.#creations.delete(settled));
    return creation;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #create(place: Place, spec: EnclosureSpec): Promise<Enclosure> {
    place.premises.host.renewEtc();
    // What is to be filled later is made before anybody needs it, and can wait for the kernel as well.
    const isHurried = !spec.latePlaces?.length;
    const reserved = await reserve(place.premises, spec, {
      overhead: this.#maker.overhead(place),
      berth: isHurried ? this.#maker.berth?.(place) : undefined,
      planNetwork: (egress, gid) => this.#maker.planNetwork(place, egress, gid),
    });
    try {
      const begin = await this.#maker.prepare(place, spec, reserved);
      const { cgroup, places, ownMounts } = reserved;
      const release = () => {
        this.#enclosures.delete(enclosure);
        return reserved.release();
      };
      const enclosure = new KeptEnclosure(spec.id, {
        cgroup,
        places,
        async begin() {
          await Promise.all(ownMounts.map((each) => each.show()));
          return begin();
        },
        rest: () => {
          for (const each of ownMounts) each.hide();
        },
        release,
      });
      this.#enclosures.add(enclosure);
      return enclosure;
    } catch (error) {
      await reserved.release();
      throw error;
    }
  }

  /**
   * Where an enclosure couldn't be made. Groups are made anew when somebody has tidied them away, and some folders; what
   * was written at the beginning isn't.
   */
  #wonder({ premises: { folder, host } }: Place): void {
    access(host.etc).catch(({ code }: NodeJS.ErrnoException) => {
      if (code === "ENOENT" && !this.#closed) this.#lost.resolve(`${folder} was removed by somebody`);
    });
  }

  #open(): Promise<Place> {
    if (this.#closed) return Promise.reject(new Error(`the ${this.name} driver is closed`));
    this.#place ??= this.#maker.open();
    return this.#place;
  }

  async #end(): Promise<void> {
    const place = await this.#place?.catch(() => undefined);
    await Promise.all(this.#creations);
    const ends = await Promise.allSettled([...this.#enclosures].map((enclosure) => enclosure.destroy()));
    await place?.premises.close();
    const failed = ends.find((end) => end.status === "rejected");
    if (failed) throw failed.reason;
  }
}
