/** Which driver a worker uses. */
import { BubblewrapDriver } from "./bubblewrap/bubblewrap.ts";
import type { BubblewrapOptions } from "./bubblewrap/premises.ts";
import { type DriverName, type Isolation, IsolationUnavailable, type SandboxDriver } from "./driver.ts";

export type DriverRequest = "auto" | DriverName;
export type DriverOptions = BubblewrapOptions;

/** Best isolation first: the order "auto" tries them in. */
const drivers: Record<DriverName, (options: DriverOptions) => SandboxDriver> = {
  bubblewrap: (options) => new BubblewrapDriver(options),
};

/**
 * The driver asked for, or with "auto" the best that works here, after a real sandbox has been tried. The driver is the
 * caller's to close. Throws `IsolationUnavailable`, with the reason of each that was tried, when none works.
 */
export async function chooseDriver(
  request: DriverRequest,
  options: DriverOptions = {},
): Promise<{ driver: SandboxDriver; isolation: Isolation }> {
  const names = request === "auto" ? (Object.keys(drivers) as DriverName[]) : [request];
  const refusals: IsolationUnavailable[] = [];
  for (const name of names) {
    const driver = drivers[name](options);
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
    refusals.map(({ remedy }) => remedy).join(" "),
  );
}
