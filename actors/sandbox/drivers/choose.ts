/** Which driver a worker uses. */
import { BubblewrapDriver, type BubblewrapOptions } from "./bubblewrap/bubblewrap.ts";
import { type DriverName, type Isolation, IsolationUnavailable, type OciPath, type SandboxDriver } from "./driver.ts";
import { OciDriver } from "./oci/oci.ts";
import { ProcessDriver } from "./process/process.ts";

/** "auto": the best that isolates; "oci": the first OCI runtime that works here; else the one named and no other. */
export type DriverRequest = "auto" | "oci" | DriverName;

export interface DriverOptions extends BubblewrapOptions {
  /** In production a function is never run as a plain process, not even when asked for. */
  readonly production?: boolean;
}

const drivers = {
  bubblewrap: (options: DriverOptions) => new BubblewrapDriver(options),
  "oci:crun": (options: DriverOptions) => new OciDriver("crun", options),
  "oci:runc": (options: DriverOptions) => new OciDriver("runc", options),
  "oci:runsc": (options: DriverOptions) => new OciDriver("runsc", options),
  process: (options: DriverOptions) => new ProcessDriver(options),
};

/** Those that have a name; an OCI runtime that is named by its path is another. */
export const driverNames = Object.keys(drivers) as (keyof typeof drivers)[];

const driverOf = (name: DriverName, options: DriverOptions): SandboxDriver =>
  isKnown(name) ? drivers[name](options) : new OciDriver(name.slice("oci:".length) as OciPath, options);

const isKnown = (name: DriverName): name is keyof typeof drivers => Object.hasOwn(drivers, name);

/** Cheapest per sandbox first; each isolates, and "process", which doesn't, is in neither. */
const oci: readonly DriverName[] = ["oci:crun", "oci:runc", "oci:runsc"];
const auto: readonly DriverName[] = ["bubblewrap", ...oci];

const namesOf = (request: DriverRequest): readonly DriverName[] =>
  request === "auto" ? auto : request === "oci" ? oci : [request];

/**
 * The driver asked for, or the first that works here of those the request allows, after a real sandbox has been tried. The
 * driver is the caller's to close. Throws `IsolationUnavailable`, with the reason of each that was tried, when none works:
 * less isolation than asked for is never given.
 */
export async function chooseDriver(
  request: DriverRequest,
  options: DriverOptions = {},
): Promise<{ driver: SandboxDriver; isolation: Isolation }> {
  const refusals: IsolationUnavailable[] = [];
  for (const name of namesOf(request)) {
    const driver = driverOf(name, options);
    try {
      return { driver, isolation: await driver.probe() };
    } catch (error) {
      await driver.close();
      if (!(error instanceof IsolationUnavailable)) throw error;
      refusals.push(error);
    }
  }
  throw new IsolationUnavailable(
    refusals.map(({ message }) => message).join("; "),
    [...new Set(refusals.map(({ remedy }) => remedy))].join(" "),
  );
}
