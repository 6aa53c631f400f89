/**
 * Tells test/run.js how a run of the tests went: writes it as JSON into the file that MAYFLY_TEST_SUMMARY names.
 *
 * A reason for skipping is what the test gave to `skip(…)`, or what was found lacking for it or its suite (unless.ts).
 */
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node";

export interface Summary {
  readonly passed: number;
  /** Names of failed tests, of files that couldn't be loaded, and errors outside of any test. */
  readonly failed: readonly string[];
  readonly skipped: readonly { readonly file: string; readonly title: string; readonly reason: string }[];
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const file = process.env.MAYFLY_TEST_SUMMARY;
    if (file === undefined) throw new Error("MAYFLY_TEST_SUMMARY names no file");
    writeFileSync(file, JSON.stringify(summarize(modules, errors)));
  }
}

function summarize(modules: readonly TestModule[], errors: readonly SerializedError[]): Summary {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (state: "passed" | "failed") => tests.filter((test) => test.result().state === state);
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const broken = suites.filter((suite) => suite.errors().length > 0);
  return {
    passed: inState("passed").length,
    failed: [
      ...inState("failed").map((test) => `${fileOf(test.module)} > ${test.fullName}`),
      ...broken.map((suite) =>
        suite.type === "module" ? fileOf(suite) : `${fileOf(suite.module)} > ${suite.fullName}`,
      ),
      ...errors.map(({ message }) => `outside of a test: ${message}`),
    ],
    skipped: tests.flatMap(skipped),
  };
}

function skipped(test: TestCase): Summary["skipped"] {
  const result = test.result();
  // A test that is still pending was never reached: its file's failure or an interrupt says why.
  if (result.state !== "skipped" && result.state !== "pending") return [];
  const note = result.state === "skipped" ? (result.note ?? test.meta().lacking ?? failureAround(test)) : "not reached";
  // Whoever runs some tests by name has skipped the others himself.
  return [{ file: fileOf(test.module), title: test.fullName, reason: note ?? "not chosen" }];
}

/** What was to be made ready for it wasn't. */
function failureAround({ parent }: TestCase | TestSuite): string | undefined {
  if (parent.errors().length > 0) return `${parent.type === "module" ? "its file" : parent.fullName} failed`;
  return parent.type === "module" ? undefined : failureAround(parent);
}

const fileOf = (module: TestModule): string => relative(process.cwd(), module.moduleId);
