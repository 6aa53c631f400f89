/** The command line that starts a sandbox: bubblewrap, the function's program, and the limits that go with a process. */
import type { EnclosureSpec } from "../driver.ts";
import { allProcessLimits, limitedBy, seenInside } from "../process-limits.ts";
import { descriptors } from "./starters.ts";
import type { Tools } from "./tools.ts";

/** Processes of the sandbox's host user besides the function's: bubblewrap inside, and outside with its launcher. */
const OWN_INSIDE = 1;
const OWN_IN_ALL = 4;

export interface Launch {
  /** Sets the limits and becomes what follows; empty where nothing can. */
  readonly limits: readonly string[];
  /** How many processes they leave its user; undefined where that is limited from inside, or not at all. */
  readonly processes: number | undefined;
  /** Up to and including `--`. */
  readonly bubblewrap: readonly string[];
  readonly command: readonly string[];
}

/**
 * The kernel counts a limit on processes per user, and within a user namespace apart. So a sandbox with a host user of
 * its own is limited before it is made; others are limited from inside, where only their own processes count.
 */
export function launch(
  /** The driver instance's. */
  name: string,
  tools: Tools,
  spec: EnclosureSpec,
  uid: number | undefined,
): Launch {
  const processes = uid === undefined || tools.prlimit === undefined ? undefined : spec.pids + OWN_IN_ALL;
  const isLimitedInside = uid === undefined && tools.prlimit !== undefined && seenInside(tools.prlimit, spec);
  return {
    limits: isLimitedInside ? [] : limited(tools, processes),
    processes,
    bubblewrap: bubblewrap(name, tools),
    command: [...(isLimitedInside ? limited(tools, spec.pids + OWN_INSIDE) : []), ...spec.command],
  };
}

/**
 * The instance's name as an argument is how the watchdog finds this process; the options that follow empty the
 * environment it is put into.
 */
export const bubblewrap = (name: string, { bwrap }: Tools): readonly string[] => [
  bwrap.path,
  "--setenv",
  "MAYFLY",
  name,
  "--args",
  `${descriptors.args}`,
  "--",
];

/** To be put before what is to be limited. */
export const limited = ({ prlimit }: Pick<Tools, "prlimit">, processes?: number): readonly string[] =>
  prlimit === undefined ? [] : limitedBy(prlimit, allProcessLimits, processes);
