/**
 * Classic BPF as seccomp takes it: an assembler of just the instructions a filter needs, and the search tree.
 *
 * A `Program` is a list of instructions whose jumps are relative, so that two programs can be put one behind the
 * other. Every program here ends in a return on each of its paths. (linux/filter.h, linux/seccomp.h)
 */

export interface Instruction {
  readonly code: number;
  /** Instructions to skip when the comparison holds, and when it doesn't: 0 to 255. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export type Program = readonly Instruction[];

/** Where seccomp lays the call out for the filter, in bytes. */
export const offsetOf = {
  number: 0,
  architecture: 4,
  /** The lower half of an argument, on a little-endian machine. */
  argument: (index: number) => 16 + 8 * index,
} as const;

export const verdicts = {
  allow: 0x7fff0000,
  killProcess: 0x80000000,
  errno: (errno: number) => 0x00050000 | errno,
} as const;

const LOAD = 0x20;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;

const plain = (code: number, k: number): Instruction => ({ code, jt: 0, jf: 0, k });

export const load = (offset: number): Instruction => plain(LOAD, offset);
export const and = (mask: number): Instruction => plain(AND, mask);
export const give = (verdict: number): Program => [plain(RETURN, verdict)];

/** `then` when the comparison of what was loaded with `k` holds, else `otherwise`; a far jump where 8 bits don't reach. */
function branch(code: number, k: number, then: Program, otherwise: Program): Program {
  if (otherwise.length <= 255) return [{ code, jt: otherwise.length, jf: 0, k }, ...otherwise, ...then];
  return [{ code, jt: 0, jf: 1, k }, plain(JUMP, otherwise.length), ...otherwise, ...then];
}

export const whenEqual = (k: number, then: Program, otherwise: Program): Program =>
  branch(JUMP_EQUAL, k, then, otherwise);

export const whenAtLeast = (k: number, then: Program, otherwise: Program): Program =>
  branch(JUMP_AT_LEAST, k, then, otherwise);

/** `then` when what was loaded equals any of `values`. */
export function whenOneOf(values: readonly number[], then: Program, otherwise: Program): Program {
  return values.reduceRight((rest, value) => whenEqual(value, then, rest), otherwise);
}

/** From number `from` on, up to where the next step begins, `program` decides. */
export interface Step {
  readonly from: number;
  readonly program: Program;
}

/** A binary search through `steps`, which are sorted and whose first begins at 0. */
export function search(steps: readonly Step[]): Program {
  if (steps.length === 1) return (steps[0] as Step).program;
  const middle = Math.floor(steps.length / 2);
  return whenAtLeast((steps[middle] as Step).from, search(steps.slice(middle)), search(steps.slice(0, middle)));
}

/** The bytes the kernel reads: 8 per instruction, little-endian (both architectures of ours are). */
export function encode(program: Program): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}
