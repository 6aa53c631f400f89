/**
 * The filter every sandbox runs under, as the bytes `bwrap --seccomp` and seccomp(2) take; `oci.ts` has it in words.
 *
 * Allowed calls pass; the rest answer EPERM, as if a privilege were missing; calls younger than the table answer
 * ENOSYS, so that a new libc falls back. Another architecture's calls (and x32) kill the process: their numbers mean
 * something else, so nothing here would hold for them.
 */
import {
  and,
  encode,
  give,
  load,
  offsetOf,
  type Program,
  type Step,
  search,
  verdicts,
  whenAtLeast,
  whenEqual,
  whenOneOf,
} from "./bpf.ts";
import { type Architecture, architectures, newestKnown, syscallsOf } from "./syscalls.ts";

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const allowed = give(verdicts.allow);
const refused = give(verdicts.errno(EPERM));
const unknown = give(verdicts.errno(ENOSYS));
const killed = give(verdicts.killProcess);

/** Every CLONE_NEW… flag of clone(2): a new namespace would be new ground to attack the kernel from. */
const CLONE_NEW_ANYTHING = 0x7e020000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const S_IFMT = 0o170000;
/** No type (a plain file), plain file, fifo, socket: everything mknod makes that isn't a device. */
const notDevices = [0, 0o100000, 0o010000, 0o140000];

/** What becomes of a call. */
export type Outcome = "allow" | { readonly errno: number };

/** A decision by the bits under `mask` of an argument, of which the kernel itself looks at the lower 32. */
export interface ArgumentRule {
  readonly index: number;
  readonly mask: number;
  readonly cases: readonly {
    readonly values: readonly number[];
    readonly outcome: Outcome;
    /** `outcome` only where another argument has this value too. */
    readonly provided?: { readonly index: number; readonly value: number; readonly otherwise: Outcome };
  }[];
  readonly otherwise: Outcome;
}

const ALL_BITS = 0xffffffff;
const eperm: Outcome = { errno: EPERM };
const noSuchFamily: Outcome = { errno: EAFNOSUPPORT };
const unlessDevice = (index: number): ArgumentRule => ({
  index,
  mask: S_IFMT,
  cases: [{ values: notDevices, outcome: "allow" }],
  otherwise: eperm,
});

/** What decides about the calls that are fine with some arguments and not with others. */
export const examinedRules: Readonly<Record<string, ArgumentRule>> = {
  clone: { index: 0, mask: CLONE_NEW_ANYTHING, cases: [{ values: [0], outcome: "allow" }], otherwise: eperm },
  // Typing into, or reconfiguring, a terminal that belongs to somebody else.
  ioctl: { index: 1, mask: ALL_BITS, cases: [{ values: [TIOCSTI, TIOCLINUX], outcome: eperm }], otherwise: "allow" },
  // 0 is "as usual" and all ones only asks; the others switch off protections such as address randomisation.
  personality: { index: 0, mask: ALL_BITS, cases: [{ values: [0, ALL_BITS], outcome: "allow" }], otherwise: eperm },
  mknod: unlessDevice(1),
  mknodat: unlessDevice(2),
  // Unix and internet sockets; routing netlink only to list interfaces. No vsock, packet, alg, bluetooth…
  socket: {
    index: 0,
    mask: ALL_BITS,
    cases: [
      { values: [AF_UNIX, AF_INET, AF_INET6], outcome: "allow" },
      { values: [AF_NETLINK], outcome: "allow", provided: { index: 2, value: NETLINK_ROUTE, otherwise: noSuchFamily } },
    ],
    otherwise: noSuchFamily,
  },
};

const verdictOf = (outcome: Outcome): Program => (outcome === "allow" ? allowed : give(verdicts.errno(outcome.errno)));

function instructionsOf({ index, mask, cases, otherwise }: ArgumentRule): Program {
  const loaded = (at: number) => load(offsetOf.argument(at));
  const decided = cases.reduceRight<Program>((rest, { values, outcome, provided }) => {
    const then: Program =
      provided === undefined
        ? verdictOf(outcome)
        : [loaded(provided.index), ...whenEqual(provided.value, verdictOf(outcome), verdictOf(provided.otherwise))];
    return whenOneOf(values, then, rest);
  }, verdictOf(otherwise));
  return [loaded(index), ...(mask === ALL_BITS ? [] : [and(mask)]), ...decided];
}

const examined: ReadonlyMap<string, Program> = new Map(
  Object.entries(examinedRules).map(([name, rule]) => [name, instructionsOf(rule)]),
);

/** The whole number line from 0, cut where the deciding program changes. */
function steps(architecture: Architecture): Step[] {
  const known = new Map<number, Program>();
  for (const { name, number, topic } of syscallsOf(architecture)) {
    known.set(number, topic === "examined" ? (examined.get(name) as Program) : topic === "absent" ? unknown : allowed);
  }
  const cuts: Step[] = [];
  for (let number = 0; number <= newestKnown + 1; number++) {
    const program = number > newestKnown ? unknown : (known.get(number) ?? refused);
    if (cuts.at(-1)?.program !== program) cuts.push({ from: number, program });
  }
  return cuts;
}

/** The filter as instructions; some 300 to 400, and about ten run for each call. */
export function filterProgram(architecture: Architecture): Program {
  const byNumber = search(steps(architecture));
  // x32 shares x86_64's architecture value and marks its calls by this bit; numbers this high exist nowhere else.
  const x32 = 0x40000000;
  return [
    load(offsetOf.architecture),
    ...whenEqual(
      architectures[architecture].audit,
      [load(offsetOf.number), ...whenAtLeast(x32, killed, byNumber)],
      killed,
    ),
  ];
}

/** The filter's bytes for `architecture`. */
export function seccompFilter(architecture: Architecture): Buffer {
  return encode(filterProgram(architecture));
}
