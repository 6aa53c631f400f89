/**
 * The filter every sandbox runs under, as the `linux.seccomp` of an OCI bundle: the same table and the same rules about
 * arguments as `policy.ts` turns into instructions (a test compares their verdicts).
 *
 * Such a profile can't speak of numbers it has no names for: calls younger than the table answer EPERM, or what the
 * runtime itself makes of them. Conditions compare 64 bits where the kernel looks at 32, so each is masked to those.
 */
import { examinedRules, type Outcome } from "./policy.ts";
import { type Architecture, syscallsOf } from "./syscalls.ts";

export interface OciCondition {
  readonly index: number;
  readonly op: "SCMP_CMP_MASKED_EQ";
  /** The mask. */
  readonly value: number;
  /** What is left of the argument under the mask. */
  readonly valueTwo: number;
}

export interface OciRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  readonly errnoRet?: number;
  /** All must hold. */
  readonly args?: readonly OciCondition[];
}

export interface OciSeccomp {
  readonly defaultAction: "SCMP_ACT_ERRNO";
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly OciRule[];
}

const EPERM = 1;
const ENOSYS = 38;
const archName: Record<Architecture, string> = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" };

/**
 * Without `numbers` for a runtime that gives every refusal the same one. Then the one call libraries can't do without
 * unless they are told that it isn't there, clone3, is left to the runtime's own kernel: it has none.
 */
export function ociSeccomp(architecture: Architecture, { numbers }: { readonly numbers: boolean }): OciSeccomp {
  const calls = syscallsOf(architecture);
  const namesOf = (wanted: (topic: string) => boolean) =>
    calls.filter(({ topic }) => wanted(topic)).map(({ name }) => name);
  const examined = namesOf((topic) => topic === "examined");
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: [archName[architecture]],
    syscalls: [
      { names: namesOf((topic) => topic !== "examined" && topic !== "absent"), action: "SCMP_ACT_ALLOW" },
      numbers
        ? { names: namesOf((topic) => topic === "absent"), action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS }
        : { names: ["clone3"], action: "SCMP_ACT_ALLOW" },
      ...examined.flatMap(rulesOf),
    ],
  };
}

/** Rules of which exactly one holds for any arguments, or none where the default says the same. */
function rulesOf(name: string): OciRule[] {
  const { index, mask, cases, otherwise } = examinedRules[name] ?? fail(name);
  const values = cases.flatMap((each) => each.values);
  const told = cases.flatMap((each) =>
    each.values.flatMap((value) => {
      const first = condition(index, mask, value);
      if (each.provided === undefined) return rule(name, each.outcome, [first]);
      const { index: second, value: wanted, otherwise: other } = each.provided;
      return [
        ...rule(name, each.outcome, [first, condition(second, 0xffffffff, wanted)]),
        ...allBut([wanted], 0xffffffff).flatMap((cube) =>
          rule(name, other, [first, condition(second, cube.mask, cube.value)]),
        ),
      ];
    }),
  );
  const rest = allBut(values, mask).flatMap((cube) => rule(name, otherwise, [condition(index, cube.mask, cube.value)]));
  return [...told, ...rest];
}

function rule(name: string, outcome: Outcome, args: readonly OciCondition[]): OciRule[] {
  if (outcome === "allow") return [{ names: [name], action: "SCMP_ACT_ALLOW", args }];
  if (outcome.errno === EPERM) return [];
  return [{ names: [name], action: "SCMP_ACT_ERRNO", errnoRet: outcome.errno, args }];
}

const condition = (index: number, mask: number, value: number): OciCondition => ({
  index,
  op: "SCMP_CMP_MASKED_EQ",
  value: mask >>> 0,
  valueTwo: value >>> 0,
});

/**
 * Every value under `mask` but those of `values`, as patterns that don't overlap: "is none of these" in a language that
 * knows only "these bits are so". Each bit that tells the values from the rest halves what is left.
 */
function allBut(values: readonly number[], mask: number, bit = 31, fixedMask = 0, fixed = 0) {
  const patterns: { mask: number; value: number }[] = [];
  if (values.length === 0) return [{ mask: fixedMask >>> 0, value: fixed >>> 0 }];
  for (let at = bit; at >= 0; at--) {
    const one = 2 ** at;
    if ((mask & one) === 0) continue;
    const set = values.filter((value) => (value & one) !== 0);
    const clear = values.filter((value) => (value & one) === 0);
    patterns.push(...allBut(set, mask, at - 1, fixedMask | one, fixed | one));
    patterns.push(...allBut(clear, mask, at - 1, fixedMask | one, fixed));
    return patterns;
  }
  return patterns;
}

function fail(name: string): never {
  throw new Error(`nothing is known of the arguments of ${name}`);
}
