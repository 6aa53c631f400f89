/** What this host can do for sandboxes, point by point, for a person who wants to know why something is missing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { chooseDriver, type DriverOptions, type DriverRequest, driverNames } from "./choose.ts";
import { type DriverName, type Isolation, IsolationUnavailable } from "./driver.ts";
import { isAboutEgress } from "./egress/network.ts";
import { findProgram } from "./find-program.ts";
import { thisArchitecture } from "./host-facts.ts";
import { hasPrivateMounts, privateMountsCommand } from "./private-mounts.ts";
import { refusals, UTIL_LINUX } from "./remedies.ts";

const run = promisify(execFile);

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; empty when it is as it should be. */
  readonly remedy: string;
}

/**
 * Runs every check, those of the drivers by starting a sandbox with each; "sandbox" is what `request` gives. Never throws:
 * what fails is a check that isn't ok.
 */
export async function examineHost(options: DriverOptions = {}, request: DriverRequest = "auto"): Promise<Check[]> {
  const mounts = await mountsCheck();
  const chosen = await attempt(() => tryDriver(request, options));
  const drivers: Check[] = [];
  const named =
    driverNames.some((name) => name === request) || request === "auto" || request === "oci" ? [] : [request];
  for (const name of [...driverNames, ...named]) drivers.push(await driverCheck(name, options, mounts.ok));
  return [
    await namespacesCheck(),
    filterCheck(),
    mounts,
    ...drivers,
    chosen instanceof Error ? failed("sandbox", chosen) : passed("sandbox", `a trial sandbox ran, by ${chosen.driver}`),
    ...(chosen instanceof Error ? [] : [...limitChecks(chosen, mounts.ok), egressCheck(chosen)]),
  ];
}

async function tryDriver(request: DriverRequest, options: DriverOptions): Promise<Isolation> {
  const { driver, isolation } = await chooseDriver(request, options);
  await driver.close();
  return isolation;
}

/** What one driver gives here, and what it would take for the rest. A worker has private mounts where it can have them. */
async function driverCheck(name: DriverName, options: DriverOptions, mayHaveMounts: boolean): Promise<Check> {
  const isolation = await attempt(() => tryDriver(name, options));
  if (isolation instanceof Error) return failed(name, isolation);
  if (!isolation.ownRoot)
    return passed(name, "isolates nothing: for development, and only when MAYFLY_SANDBOX names it");
  const { namespaces, limits, uidPerSandbox, egress } = isolation;
  const lacks = isolation.lacks.filter((each) => !isAboutEgress(each) && !(mayHaveMounts && takesMounts(each)));
  const unlimited = Object.entries(limits).flatMap(([what, by]) => (by === "none" ? [what] : []));
  const detail = [
    `${namespaces.length} namespaces, system call filter`,
    unlimited.length === 0 ? "memory, processes and processors limited" : `no limit on ${unlimited.join(" and ")}`,
    uidPerSandbox ? "a user for each sandbox" : "one user for all sandboxes",
    egress === undefined ? "no networks" : `networks by ${egress}`,
  ].join("; ");
  return { name, ok: lacks.length === 0, detail, remedy: lacks.join(" ") };
}

/** It is so only where a process has no private mounts. */
const takesMounts = (lack: string): boolean => lack.includes("mount namespace of its own");

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
  if ((await findProgram(program)) === undefined)
    return { name, ok: false, detail: `${program} was not found`, remedy: UTIL_LINUX };
  const tried = await attempt(() => run(program, [...before, "true"]));
  return tried instanceof Error
    ? { name, ok: false, detail: tried.message, remedy: "Without them /tmp is emptied when a function times out." }
    : passed(name, "a worker can have them");
}

function limitChecks(isolation: Isolation, mayHaveMounts: boolean): Check[] {
  const { limits, uidPerSandbox, freezes, lacks } = isolation;
  const limited = Object.entries(limits).map(([name, by]) => `${name}: ${by}`);
  const allLimited = Object.values(limits).every((by) => by !== "none");
  const find = (word: RegExp) => lacks.find((each) => word.test(each)) ?? "";
  const latePlacement = isolation.latePlacement || (mayHaveMounts && takesMounts(find(/booted before/)));
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
