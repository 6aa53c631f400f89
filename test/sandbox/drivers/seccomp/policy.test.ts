import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encode, give, search, verdicts, whenEqual } from "../../../../actors/sandbox/drivers/seccomp/bpf.ts";
import { filterProgram, seccompFilter } from "../../../../actors/sandbox/drivers/seccomp/policy.ts";
import {
  type Architecture,
  architectures,
  newestKnown,
  syscallsOf,
} from "../../../../actors/sandbox/drivers/seccomp/syscalls.ts";
import { lackingIf, testUnless } from "../../../support/unless.ts";
import { judge } from "./interpreter.ts";

const EPERM = verdicts.errno(1);
const ENOSYS = verdicts.errno(38);
const EAFNOSUPPORT = verdicts.errno(97);

describe.each(Object.keys(architectures) as Architecture[])("the filter for %s", (architecture) => {
  const program = filterProgram(architecture);
  const audit = architectures[architecture].audit;
  const calls = new Map(syscallsOf(architecture).map((call) => [call.name, call]));
  const verdict = (name: string, ...args: number[]) =>
    judge(program, { architecture: audit, number: calls.get(name)?.number ?? -1, args }).verdict;

  test("decides about every number there is as the table says", () => {
    const byNumber = new Map([...calls.values()].map((call) => [call.number, call]));
    for (let number = 0; number <= newestKnown + 100; number++) {
      const topic = byNumber.get(number)?.topic;
      if (topic === "examined") continue;
      const expected =
        number > newestKnown || topic === "absent" ? ENOSYS : topic === undefined ? EPERM : verdicts.allow;
      expect([number, judge(program, { architecture: audit, number }).verdict]).toEqual([number, expected]);
    }
  });

  test("looks at what is asked for where that decides", () => {
    expect(verdict("socket", 1)).toBe(verdicts.allow);
    expect(verdict("socket", 10)).toBe(verdicts.allow);
    expect(verdict("socket", 16, 3, 0)).toBe(verdicts.allow);
    expect(verdict("socket", 16, 3, 9)).toBe(EAFNOSUPPORT);
    for (const family of [17, 38, 40]) expect(verdict("socket", family)).toBe(EAFNOSUPPORT);
    expect(verdict("clone", 0x3d0f00)).toBe(verdicts.allow);
    for (const flag of [0x10000000, 0x00020000, 0x40000000]) expect(verdict("clone", flag | 17)).toBe(EPERM);
    expect(verdict("clone3")).toBe(ENOSYS);
    expect(verdict("ioctl", 0, 0x5401)).toBe(verdicts.allow);
    expect(verdict("ioctl", 0, 0x5412)).toBe(EPERM);
    expect(verdict("ioctl", 0, 0x541c)).toBe(EPERM);
    expect(verdict("personality", 0xffffffff)).toBe(verdicts.allow);
    expect(verdict("personality", 0x0040000)).toBe(EPERM);
    expect(verdict("mknodat", 0, 0, 0o010644)).toBe(verdicts.allow);
    expect(verdict("mknodat", 0, 0, 0o020644)).toBe(EPERM);
  });

  test("kills callers of another architecture's calls", () => {
    for (const other of [0x40000003, 0x40000028, 0, audit ^ 1]) {
      expect(judge(program, { architecture: other, number: 0 }).verdict).toBe(verdicts.killProcess);
    }
    expect(judge(program, { architecture: audit, number: 0x40000000 }).verdict).toBe(verdicts.killProcess);
    expect(judge(program, { architecture: audit, number: -1 }).verdict).toBe(verdicts.killProcess);
  });

  test("always comes to a verdict, and soon", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.array(fc.integer(), { minLength: 6, maxLength: 6 }), (number, args) => {
        expect(judge(program, { architecture: audit, number, args }).steps).toBeLessThan(25);
      }),
    );
    expect(seccompFilter(architecture).length).toBeLessThan(4096 * 8);
  });
});

testUnless(lackingIf(process.arch !== "x64" || process.platform !== "linux", "this is no Linux on x86_64"))(
  "the table has the kernel's own numbers",
  ({ skip }) => {
    const header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
    let text: string;
    try {
      text = readFileSync(header, "utf8");
    } catch {
      return skip(`${header} isn't here`);
    }
    const known = new Map(
      [...text.matchAll(/#define __NR_(\w+) (\d+)/g)].map(([, name, number]) => [name, Number(number)]),
    );
    const differing = syscallsOf("x64").filter(({ name, number }) => known.has(name) && known.get(name) !== number);
    expect(differing).toEqual([]);
  },
);

test("a search whose halves are farther apart than a jump reaches still finds", () => {
  const long = (value: number) =>
    Array.from({ length: 300 }).reduce<ReturnType<typeof give>>(
      (rest, _, index) => whenEqual(0xff000000 + index, give(1), rest),
      give(value),
    );
  const program = [
    { code: 0x20, jt: 0, jf: 0, k: 0 },
    ...search([10, 11, 12, 13].map((value, index) => ({ from: index * 5, program: long(value) }))),
  ];
  const found = [0, 4, 5, 9, 10, 14, 15, 400].map((number) => judge(program, { architecture: 0, number }).verdict);
  expect(found).toEqual([10, 10, 11, 11, 12, 12, 13, 13]);
  expect(encode(program)).toHaveLength(program.length * 8);
});
