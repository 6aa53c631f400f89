/**
 * User namespaces of sandboxes that have users of their own, some made beforehand. Where none can be had, the runtime makes
 * them as the worker's user: sandboxes run all the same, and what they then lack is said.
 */
import { KeptReady } from "../kept-ready.ts";
import type { Premises } from "../premises.ts";
import { namespacesRemedy, UTIL_LINUX } from "../remedies.ts";
import type { Berth } from "../reserve.ts";
import type { UidPool } from "../uids.ts";
import { mapOf } from "./bundle.ts";
import type { FoundRuntime } from "./runtimes.ts";
import { makeUserNamespace, type UserNamespace, type UserNamespaceSpec } from "./user-namespace.ts";

/** Users of a sandbox with their namespace; its group is made when it is known for whom. */
export interface Users extends Berth {
  readonly cgroup: undefined;
  readonly namespace: UserNamespace;
}

/** What is the same for all of them. */
type Common = Pick<UserNamespaceSpec, "unshare" | "instance">;

/** As many as bubblewrap's starters. */
const READY = 4;

export class UserNamespaces {
  readonly #uids: UidPool;
  readonly #users: number;
  readonly #common: Common;
  readonly #ready: KeptReady<Users>;

  /** Each with `users` of `uids`. */
  constructor(uids: UidPool, users: number, common: Common) {
    this.#uids = uids;
    this.#users = users;
    this.#common = common;
    this.#ready = new KeptReady({ ready: READY, make: () => this.make(), end: (one) => one.close() });
  }

  /** One that waits, now the caller's; undefined where there is none. */
  take(): Users | undefined {
    return this.#ready.take();
  }

  async make(): Promise<Users> {
    const uids = Array.from({ length: this.#users }, () => this.#uids.take());
    const giveBack = () => {
      for (const uid of uids) this.#uids.giveBack(uid);
    };
    try {
      const namespace = await this.of(uids);
      const close = async () => {
        namespace.close();
        giveBack();
      };
      return { uids, cgroup: undefined, namespace, close };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** Of users that somebody holds already. */
  of(uids: readonly number[]): Promise<UserNamespace> {
    return makeUserNamespace({ ...this.#common, uid: uids[0] ?? 0, map: mapOf(uids) });
  }

  close(): Promise<void> {
    return this.#ready.close();
  }
}

/** Tries one. None, and what sandboxes lack then, where they can't be had; neither where they would change nothing. */
export async function openUserNamespaces(
  { uids, name }: Pick<Premises, "uids" | "name">,
  { channel, limits, unshare, prlimit, overhead }: FoundRuntime,
): Promise<{ readonly owned?: UserNamespaces; readonly lack?: string }> {
  // A kernel of its own in user space counts for itself, and users that all sandboxes share are counted together anyway.
  if (channel === "input" || uids === undefined) return {};
  const missing = unshare === undefined ? "unshare" : limits === "as root" && prlimit === undefined ? "prlimit" : "";
  if (unshare === undefined || missing !== "") return { lack: lackFor(`${missing} was not found`, UTIL_LINUX) };
  const owned = new UserNamespaces(uids, overhead.users, { unshare, instance: name });
  try {
    await (await owned.make()).close();
    return { owned };
  } catch (error) {
    await owned.close();
    const { message } = error as Error;
    return { lack: lackFor(message, await namespacesRemedy(message)) };
  }
}

const lackFor = (reason: string, remedy: string): string =>
  `One sandbox can take all inotify instances of the worker's user from the others, and from the host: ${reason}. ${remedy}`;
