/** What this host can do for sandboxes, point by point, for a person who wants to know why something is missing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findBubblewrap } from "./bubblewrap/host.ts";
import { refusals } from "./bubblewrap/remedies.ts";
import { chooseDriver, type DriverOptions } from "./choose.ts";
import { type Isolation, IsolationUnavailable } from "./driver.ts";
import { isAboutEgress } from "./egress/network.ts";
import { hasPrivateMounts, privateMountsCommand } from "./private-mounts.ts";
import { thisArchitecture } from "./seccomp/policy.ts";

const run = promisify(execFile);

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; empty when it is as it should be. */
  readonly remedy: string;
}

/** Runs every check, the last ones by starting a sandbox. Never throws: what fails is a check that isn't ok. */
export async function examineHost(options: DriverOptions = {}): Promise<Check[]> {
  const isolation = await attempt(async () => (await trySandbox(options)).isolation);
  return [
    await bubblewrapCheck(options),
    await namespacesCheck(),
    filterCheck(),
    await mountsCheck(),
    isolation instanceof Error ? failed("sandbox", isolation) : passed("sandbox", "a trial sandbox ran"),
    ...(isolation instanceof Error ? [] : [...limitChecks(isolation), egressCheck(isolation)]),
  ];
}

async function trySandbox(options: DriverOptions): Promise<{ isolation: Isolation }> {
  const chosen = await chooseDriver("auto", options);
  await chosen.driver.close();
  return chosen;
}

async function bubblewrapCheck(options: DriverOptions): Promise<Check> {
  const found = await attempt(() => findBubblewrap(options.bwrapPath));
  return found instanceof Error
    ? failed("bubblewrap", found)
    : passed("bubblewrap", `${found.version} at ${found.path}`);
}

async function namespacesCheck(): Promise<Check> {
  const remedies = await refusals();
  const ok = remedies.length === 0;
  const detail = ok ? "nothing forbids them" : "forbidden to ordinary users, as whom sandboxes run";
  return { name: "user namespaces", ok, detail, remedy: remedies.join(" ") };
}

function filterCheck(): Check {
  const architecture = thisArchitecture();
  return architecture
    ? passed("system call filter", `for ${architecture}`)
    : { name: "system call filter", ok: false, detail: `none for ${process.arch}`, remedy: "Use x86_64 or aarch64." };
}

async function mountsCheck(): Promise<Check> {
  const name = "private mounts";
  if (hasPrivateMounts()) return passed(name, "this process has them");
  const [program = "", ...before] = privateMountsCommand();
  const tried = await attempt(() => run(program, [...before, "true"]));
  return tried instanceof Error
    ? { name, ok: false, detail: tried.message, remedy: "Without them /tmp is emptied when a function times out." }
    : passed(name, "a worker can have them");
}

function limitChecks({ limits, uidPerSandbox, freezes, latePlacement, lacks }: Isolation): Check[] {
  const limited = Object.entries(limits).map(([name, by]) => `${name}: ${by}`);
  const allLimited = Object.values(limits).every((by) => by !== "none");
  const find = (word: RegExp) => lacks.find((each) => word.test(each)) ?? "";
  return [
    { name: "limits", ok: allLimited, detail: limited.join(", "), remedy: find(/^No limit/) },
    {
      name: "sandbox users",
      ok: uidPerSandbox,
      detail: uidPerSandbox ? "one of its own for each sandbox" : "one for all sandboxes",
      remedy: find(/same user/),
    },
    {
      name: "freezing",
      ok: freezes,
      detail: freezes ? "idle sandboxes are frozen" : "idle sandboxes compute on",
      remedy: find(/not frozen/),
    },
    {
      name: "late placement",
      ok: latePlacement,
      detail: latePlacement ? "sandboxes can be booted before they are needed" : "no sandbox is booted beforehand",
      remedy: find(/booted before/),
    },
  ];
}

/** Only functions that ask for a network need it. */
function egressCheck({ egress, lacks }: Isolation): Check {
  if (egress !== undefined) return passed("egress", `functions that are to have a network get it by ${egress}`);
  const remedy = lacks.find(isAboutEgress) ?? "Choose a driver that gives networks.";
  return { name: "egress", ok: false, detail: "no function gets a network here", remedy };
}

function passed(name: string, detail: string): Check {
  return { name, ok: true, detail, remedy: "" };
}

function failed(name: string, error: Error): Check {
  const remedy = error instanceof IsolationUnavailable ? error.remedy : "This is unexpected: please report it.";
  return { name, ok: false, detail: error.message, remedy };
}

async function attempt<T>(step: () => Promise<T>): Promise<T | Error> {
  try {
    return await step();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
