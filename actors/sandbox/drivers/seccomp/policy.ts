/**
 * The filter every sandbox runs under, as the bytes `bwrap --seccomp` takes.
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

const argument = (index: number) => load(offsetOf.argument(index));
const unlessDevice = (modeIndex: number): Program => [
  argument(modeIndex),
  and(S_IFMT),
  ...whenOneOf(notDevices, allowed, refused),
];

/** What decides about the calls that are fine with some arguments and not with others. */
const examined: Record<string, Program> = {
  clone: [argument(0), and(CLONE_NEW_ANYTHING), ...whenEqual(0, allowed, refused)],
  // Typing into, or reconfiguring, a terminal that belongs to somebody else.
  ioctl: [argument(1), ...whenOneOf([TIOCSTI, TIOCLINUX], refused, allowed)],
  // 0 is "as usual" and all ones only asks; the others switch off protections such as address randomisation.
  personality: [argument(0), ...whenOneOf([0, 0xffffffff], allowed, refused)],
  mknod: unlessDevice(1),
  mknodat: unlessDevice(2),
  // Unix and internet sockets; routing netlink only to list interfaces. No vsock, packet, alg, bluetooth…
  socket: [
    argument(0),
    ...whenOneOf(
      [AF_UNIX, AF_INET, AF_INET6],
      allowed,
      whenEqual(
        AF_NETLINK,
        [argument(2), ...whenEqual(NETLINK_ROUTE, allowed, give(verdicts.errno(EAFNOSUPPORT)))],
        give(verdicts.errno(EAFNOSUPPORT)),
      ),
    ),
  ],
};

/** The whole number line from 0, cut where the deciding program changes. */
function steps(architecture: Architecture): Step[] {
  const known = new Map<number, Program>();
  for (const { name, number, topic } of syscallsOf(architecture)) {
    known.set(number, topic === "examined" ? (examined[name] as Program) : topic === "absent" ? unknown : allowed);
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

/** Which of our architectures this process runs on; undefined when there is no table for it. */
export function thisArchitecture(): Architecture | undefined {
  return process.arch === "x64" || process.arch === "arm64" ? process.arch : undefined;
}

/** The filter's bytes for `architecture`. */
export function seccompFilter(architecture: Architecture): Buffer {
  return encode(filterProgram(architecture));
}
