/**
 * Tests that run unless something is lacking here, which the summary then names: in place of `skipIf`, which keeps its reason
 * to itself. What is lacking is undefined where nothing is.
 */
import { describe, test } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    /** Why it was skipped. */
    lacking?: string;
  }
}

type Lacking = string | undefined;

export const lackingIf = (isLacking: boolean, what: string): Lacking => (isLacking ? what : undefined);

export const describeUnless = (lacking: Lacking): typeof describe =>
  lacking === undefined ? describe : skipping(describe.skip as Skip, lacking);

export const testUnless = (lacking: Lacking): typeof test =>
  lacking === undefined ? test : skipping(test.skip as unknown as Skip, lacking);

type Given = ReadonlyArray<object | number | ((...args: unknown[]) => unknown)>;

interface Skip {
  (title: string, options: object, body: unknown): void;
  each(cases: readonly unknown[]): (title: string, options: object, body: unknown) => void;
}

function skipping<T>(skip: Skip, lacking: string): T {
  const options = { meta: { lacking } };
  const body = (given: Given) => given.find((each) => typeof each === "function");
  const named = (title: string, ...given: Given) => skip(title, options, body(given));
  /** Where even the cases are lacking, one stands for them. */
  const each = (cases: readonly unknown[]) =>
    cases.length === 0
      ? (title: string) => test.skip(title, options, () => {})
      : (title: string, ...given: Given) => skip.each(cases)(title, options, body(given));
  return Object.assign(named, { each }) as T;
}
