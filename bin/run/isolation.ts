/** How a worker's sandboxes are made: the driver that the configuration asks for, and what it keeps apart, in words. */
import { chooseDriver } from "../../actors/sandbox/drivers/choose.ts";
import type { Isolation, SandboxDriver } from "../../actors/sandbox/drivers/driver.ts";
import { isAboutEgress } from "../../actors/sandbox/drivers/egress/network.ts";
import { userOnHost } from "../../actors/sandbox/drivers/premises.ts";
import { takeDownSpareMounts } from "../../actors/sandbox/drivers/spare-mounts.ts";
import type { Config } from "../../config/config.ts";
import { findBubblewrap } from "../embedded/find-bubblewrap.ts";
import type { FindOptions } from "../embedded/find-nats-server.ts";
import type { FoundProgram } from "../embedded/find-program.ts";
import type { Home } from "../embedded/home.ts";

/** What `inWords` begins with where nothing is kept apart. */
export const NO_ISOLATION = "process: NO ISOLATION, functions run as the worker's own user";

/**
 * bubblewrap where it may be used. Undefined where another driver is asked for, and where any is good and it can't be had.
 * @throws ProgramMissing when it is asked for by name, or MAYFLY_BWRAP names one that is none
 */
export async function bubblewrapFor(
  sandbox: Config["sandbox"],
  options: FindOptions,
): Promise<FoundProgram | undefined> {
  if (sandbox === "bubblewrap" || (sandbox === "auto" && process.env.MAYFLY_BWRAP)) return findBubblewrap(options);
  return sandbox === "auto" ? findBubblewrap(options).catch(() => undefined) : undefined;
}

/** Throws `IsolationUnavailable` when what is asked for can't be had here. */
export async function openDriver(
  { sandbox, mode, egress }: Pick<Config, "sandbox" | "mode" | "egress">,
  home: Home,
  /** Addresses of the platform's own servers at this time. */
  platform: () => Promise<readonly string[]>,
): Promise<{ driver: SandboxDriver; isolation: Isolation }> {
  const bwrap = await bubblewrapFor(sandbox, { tools: home.tools });
  const chosen = await chooseDriver(sandbox, {
    ...(bwrap === undefined ? {} : { bwrapPath: bwrap.path }),
    production: mode === "production",
    egress: { ...egress, platform },
    // Sandboxes of root run as other users, who can't walk into its home; an ordinary user's run as that user.
    ...(userOnHost() === 0 ? {} : { home: home.sandboxes }),
  });
  if (chosen.isolation.driver === "bubblewrap") await takeDownSpareMounts();
  return chosen;
}

/** One line that says what is in force. */
export function inWords({
  driver,
  namespaces,
  seccomp,
  limits,
  uidPerSandbox,
  egress,
  freezes,
  latePlacement,
  ownRoot,
  lacks,
}: Isolation): string {
  const limited = Object.entries(limits).map(([what, how]) => `${what} ${how}`);
  return [
    ownRoot ? driver : NO_ISOLATION,
    `namespaces ${namespaces.join("+") || "none"}`,
    seccomp ? "seccomp" : "no seccomp",
    `limits: ${limited.join(", ")}`,
    uidPerSandbox ? "own uid" : "shared uid",
    egress === undefined ? (lacks.find(isAboutEgress) ?? "the worker's own network") : `egress by ${egress}`,
    freezes ? "frozen when idle" : "not frozen when idle",
    latePlacement ? "can be booted beforehand" : "never booted beforehand",
  ].join("; ");
}
