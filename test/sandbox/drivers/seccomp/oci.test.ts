/** The filter in an OCI bundle's words says what the one in instructions says. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verdicts } from "../../../../actors/sandbox/drivers/seccomp/bpf.ts";
import { type OciSeccomp, ociSeccomp } from "../../../../actors/sandbox/drivers/seccomp/oci.ts";
import { examinedRules, filterProgram } from "../../../../actors/sandbox/drivers/seccomp/policy.ts";
import {
  type Architecture,
  architectures,
  newestKnown,
  syscallsOf,
} from "../../../../actors/sandbox/drivers/seccomp/syscalls.ts";
import { judge } from "./interpreter.ts";

/** As libseccomp decides; fails when two rules of different outcome hold at once, for then their order would matter. */
function decide(profile: OciSeccomp, name: string | undefined, args: readonly number[]): number {
  const holding = profile.syscalls.filter(
    ({ names, args: conditions = [] }) =>
      name !== undefined &&
      names.includes(name) &&
      conditions.every(({ index, value, valueTwo }) => ((args[index] ?? 0) & value) >>> 0 === valueTwo),
  );
  expect(holding.length).toBeLessThanOrEqual(1);
  const [rule] = holding;
  if (rule === undefined) return verdicts.errno(profile.defaultErrnoRet);
  return rule.action === "SCMP_ACT_ALLOW" ? verdicts.allow : verdicts.errno(rule.errnoRet ?? 0);
}

describe.each(Object.keys(architectures) as Architecture[])("the words for %s", (architecture) => {
  const program = filterProgram(architecture);
  const audit = architectures[architecture].audit;
  const profile = ociSeccomp(architecture, { numbers: true });
  const byNumber = new Map(syscallsOf(architecture).map(({ name, number }) => [number, name]));

  test("decide about every call there is as the instructions do", () => {
    for (let number = 0; number <= newestKnown; number++) {
      const name = byNumber.get(number);
      if (name !== undefined && name in examinedRules) continue;
      expect([number, decide(profile, name, [])]).toEqual([
        number,
        judge(program, { architecture: audit, number }).verdict,
      ]);
    }
  });

  test("decide about arguments as the instructions do", () => {
    const telling = [
      0, 1, 2, 10, 16, 17, 38, 40, 0x5401, 0x5412, 0x5413, 0x541c, 0x3d0f00, 0x10000000, 0x20000, 0o010644,
    ];
    const word = fc.oneof(fc.constantFrom(...telling, 0o060644, 0o100644, 0xffffffff), fc.nat(0xffffffff), fc.nat(64));
    for (const [number, name] of byNumber) {
      if (!(name in examinedRules)) continue;
      fc.assert(
        fc.property(fc.array(word, { minLength: 3, maxLength: 3 }), (args) => {
          expect(decide(profile, name, args)).toBe(judge(program, { architecture: audit, number, args }).verdict);
        }),
        { numRuns: 500 },
      );
    }
  });

  test("let clone3 through, and nothing else, where every refusal is the same", () => {
    const fewer = ociSeccomp(architecture, { numbers: false });
    for (const [, name] of byNumber) {
      const [before, now] = [profile, fewer].map((each) => decide(each, name, []));
      if (name === "clone3") expect([before, now]).toEqual([verdicts.errno(38), verdicts.allow]);
      else expect(now === verdicts.allow, name).toBe(before === verdicts.allow);
    }
  });
});
