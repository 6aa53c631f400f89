/** What this host has for giving sandboxes a network, each missing thing with its remedy. */
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { findProgram } from "../find-program.ts";
import { EgressUnavailable } from "./network.ts";
import type { NetTools } from "./nft.ts";

export interface SlirpTools extends NetTools {
  readonly slirp4netns: string;
  /** What slirp4netns is shut in with. */
  readonly bwrap: string;
  /** Undefined where it is missing. */
  readonly prlimit: string | undefined;
}

const TUN = "/dev/net/tun";

/** Throws `EgressUnavailable` naming the first thing that is missing. Bubblewrap is looked for where it isn't given. */
export async function findSlirpTools(bwrap?: string): Promise<SlirpTools> {
  if (process.geteuid?.() !== 0) {
    throw new EgressUnavailable(
      "an ordinary user's worker may not enter its sandboxes' networks",
      "Start it in a mount namespace of its own, as `mayfly up` does where user namespaces are allowed.",
    );
  }
  const tools = {
    slirp4netns: await needed("slirp4netns", "slirp4netns"),
    nft: await needed("nft", "nftables"),
    nsenter: await needed("nsenter", "util-linux"),
    bwrap: bwrap ?? (await needed("bwrap", "bubblewrap")),
    prlimit: await findProgram("prlimit"),
  };
  const closed = await access(TUN, constants.R_OK | constants.W_OK).then(
    () => false,
    () => true,
  );
  if (closed) {
    throw new EgressUnavailable(
      `${TUN} can't be opened`,
      `Load it (modprobe tun), let the worker's user open it (chmod 0666 ${TUN}), or give it to the container (--device ${TUN}).`,
    );
  }
  return tools;
}

async function needed(program: string, debianPackage: string): Promise<string> {
  const path = await findProgram(program);
  if (path !== undefined) return path;
  throw new EgressUnavailable(`${program} was not found`, `Install it: apt install ${debianPackage}.`);
}

/** All that this host answers at, now. */
export const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));

/** Where this host asks for names. */
export async function resolversOf(file = "/etc/resolv.conf"): Promise<string[]> {
  const words = await readFile(file, "utf8").catch(() => "");
  return [...words.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
}
