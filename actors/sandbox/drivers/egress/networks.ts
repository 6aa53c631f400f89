/** The networks of one driver instance's sandboxes: what is found once, kept current, and given back at the end. */
import { closeSync, openSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Egress, Range } from "../../../../subjects/egress.ts";
import { findSlirpTools, ownAddresses, resolversOf, type SlirpTools } from "./host.ts";
import { type Attachment, type EgressOptions, EgressUnavailable, type NetworkPlan, type Way } from "./network.ts";
import { applyRules } from "./nft.ts";
import { type Allowed, allowedOf, hostRules, insideRules, LINK } from "./rules.ts";
import { type SlirpSpec, startSlirp } from "./slirp.ts";

/** Of the driver that has them. */
export interface NetworksPlace extends Pick<SlirpSpec, "name" | "topLevel"> {
  /** Undefined to look for it. */
  readonly bwrap: string | undefined;
  /** Where sandboxes' users may read. */
  readonly folder: string;
  /** The groups its sandboxes run as, one each; undefined where all are the worker's own. */
  readonly gids: Range | undefined;
}

/** slirp4netns with 64 connections; more of them are at the cost of the function's own memory. */
const OVERHEAD = { memoryMiB: 24, pids: 1 } as const;
/** Attempts, each waited for 2 s: a lost datagram isn't a lost invocation. */
const RESOLV_CONF = `nameserver ${LINK.nameServer}\noptions edns0 timeout:2 attempts:3\n`;

const REFRESH_MS = 5000;

/** A network that stands: the open namespace, and the rules in force there. */
interface Living {
  readonly namespace: number;
  readonly allowed: Allowed;
  rules: string;
}

async function keepTo(tools: SlirpTools, living: Living, platform: readonly string[]): Promise<void> {
  const rules = insideRules(living.allowed, [...ownAddresses(), ...platform]);
  if (rules === living.rules) return;
  await applyRules(tools, rules, living.namespace);
  living.rules = rules;
}

export class Networks {
  /** How it is done, where it can be. */
  readonly way: Way = "slirp4netns";
  readonly #place: NetworksPlace;
  readonly #options: EgressOptions;
  #tools: Promise<SlirpTools> | undefined;
  #resolvConf: Promise<string> | undefined;
  /** The host's rules in force, and changes of them one after the other. */
  #onHost = "";
  #changes: Promise<unknown> = Promise.resolve();
  readonly #living = new Set<Living>();
  #timer: NodeJS.Timeout | undefined;

  constructor(place: NetworksPlace, options: EgressOptions = {}) {
    this.#place = place;
    this.#options = options;
  }

  /** Throws `EgressUnavailable` where none can be had, `EgressForbidden` for a destination that may not be. */
  async plan(egress: Egress, gid: number | undefined): Promise<NetworkPlan> {
    const tools = await this.#open();
    const allowed = allowedOf(egress, this.#options.permitted ?? []);
    this.#resolvConf ??= this.#writeResolvConf();
    return {
      mounts: [{ from: await this.#resolvConf, to: "/etc/resolv.conf" }],
      overhead: OVERHEAD,
      attach: (pid) => this.#attach(tools, allowed, pid, gid),
    };
  }

  /** Takes the host's rules away; the attachments are gone. */
  async close(): Promise<void> {
    await this.#changes.catch(() => {});
    const tools = await this.#tools?.catch(() => undefined);
    if (tools === undefined || this.#onHost === "") return;
    await applyRules(tools, `delete table inet ${this.#place.name}\n`);
    this.#onHost = "";
  }

  async #open(): Promise<SlirpTools> {
    if (this.#options.way === "off") {
      throw new EgressUnavailable(
        "its owner has switched it off (MAYFLY_EGRESS=off)",
        "Ask the owner of this machine.",
      );
    }
    // What is missing may be installed at any time.
    this.#tools ??= findSlirpTools(this.#place.bwrap).catch((error: unknown) => {
      this.#tools = undefined;
      throw error;
    });
    return this.#tools;
  }

  async #attach(tools: SlirpTools, allowed: Allowed, pid: number, gid: number | undefined): Promise<Attachment> {
    // First of all, and as it is: where the process has ended meanwhile, that says nothing about networks.
    const living: Living = { namespace: openSync(`/proc/${pid}/ns/net`, "r"), allowed, rules: "" };
    try {
      const platform = await this.#platform();
      await this.#guardHost(tools, platform);
      // Side by side, because nobody inside is let go before both stand.
      const { slirp4netns, bwrap, prlimit } = tools;
      const [ruled, started] = await Promise.allSettled([
        keepTo(tools, living, platform),
        startSlirp({ ...this.#place, slirp4netns, bwrap, prlimit, namespace: living.namespace, gid }),
      ]);
      if (started.status === "rejected") throw started.reason;
      if (ruled.status === "fulfilled") return this.#watched(tools, living, started.value);
      await started.value.detach();
      throw ruled.reason;
    } catch (error) {
      closeSync(living.namespace);
      const why = error instanceof Error ? error.message : String(error);
      throw new EgressUnavailable(why, "`mayfly doctor` tells what this host can do.");
    }
  }

  /** Kept to the rules also when this host or the platform gets another address. */
  #watched(tools: SlirpTools, living: Living, attachment: Attachment): Attachment {
    this.#living.add(living);
    this.#timer ??= setInterval(() => void this.#refresh(tools), this.#options.refreshMs ?? REFRESH_MS).unref();
    return {
      ...attachment,
      detach: async () => {
        if (this.#living.delete(living)) closeSync(living.namespace);
        if (this.#living.size === 0) {
          clearInterval(this.#timer);
          this.#timer = undefined;
        }
        await attachment.detach();
      },
    };
  }

  /** What can't be brought up to date now is tried again the next time: until then the rules before are in force. */
  async #refresh(tools: SlirpTools): Promise<void> {
    try {
      const platform = await this.#platform();
      await this.#guardHost(tools, platform);
      for (const living of this.#living) await keepTo(tools, living, platform).catch(() => {});
    } catch {
      // The platform's addresses can't be had, or the host's rules can't be set, for the moment.
    }
  }

  async #platform(): Promise<readonly string[]> {
    return (await this.#options.platform?.()) ?? [];
  }

  /** The second lock, where sandboxes' packets can be told from others; made anew when what it knows has changed. */
  #guardHost(tools: SlirpTools, platform: readonly string[]): Promise<void> {
    const { gids, name } = this.#place;
    if (gids === undefined) return Promise.resolve();
    const change = this.#changes
      .catch(() => {})
      .then(async () => {
        const permitted = this.#options.permitted ?? [];
        const rules = hostRules(name, { gids, resolvers: await resolversOf(), permitted, platform });
        if (rules === this.#onHost) return;
        await applyRules(tools, rules);
        this.#onHost = rules;
      });
    this.#changes = change;
    return change;
  }

  async #writeResolvConf(): Promise<string> {
    const path = join(this.#place.folder, "resolv.conf");
    await writeFile(path, RESOLV_CONF);
    await chmod(path, 0o644);
    return path;
  }
}
