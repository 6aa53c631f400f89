/**
 * A contract is one shape of subject and what travels on it. Every subject string of Mayfly is built here.
 *
 * A pattern is dot-separated tokens; `{name}` is a slot. Slots are typed from the pattern itself, so a misspelt one does
 * not compile. A token is `[A-Za-z0-9_-]+` (the restricted term of NATS ADR-6): no wildcard and no dot can be smuggled in.
 */
import type { z } from "zod";

type Slots<P extends string> = P extends `${infer Head}.${infer Rest}`
  ? Slots<Head> | Slots<Rest>
  : P extends `{${infer Slot}}`
    ? Slot
    : never;

/** A value for each slot of the pattern. */
export type Address<P extends string> = { readonly [K in Slots<P>]: string };

export interface Contract<P extends string = string, S extends z.ZodType = z.ZodType> {
  readonly pattern: P;
  /** The JSON body's schema; for raw contracts the bytes are the caller's own and are not looked at. */
  readonly body: S | undefined;
  /** The concrete subject. A slot left out becomes `*`, for listening. Throws `IllegalToken` on anything else. */
  subject(address?: Partial<Address<P>>): string;
  /** The slots' values in a concrete subject of this pattern. */
  address(subject: string): Address<P>;
}

/** A contract whose body is JSON of a schema. */
export type JsonContract<P extends string, S extends z.ZodType> = Contract<P, S> & { readonly body: S };

const LEGAL_TOKEN = /^[A-Za-z0-9_-]+$/;

/** Whether a text may stand as one token of a subject. */
export const isToken = (text: string): boolean => LEGAL_TOKEN.test(text);

export class IllegalToken extends Error {
  override readonly name = "IllegalToken";
  constructor(slot: string, value: string) {
    super(`"${value}" can't be the subject token {${slot}}: only letters, digits, "_" and "-" may stand there`);
  }
}

function build<const P extends string, S extends z.ZodType>(pattern: P, body: S | undefined): Contract<P, S> {
  const tokens = pattern.split(".").map((text) => (text.startsWith("{") ? { slot: text.slice(1, -1) } : { text }));
  return {
    pattern,
    body,
    subject: (address = {}) => {
      let subject = "";
      for (const token of tokens) {
        if (subject !== "") subject += ".";
        subject +=
          token.slot === undefined ? token.text : legal(token.slot, address as Record<string, string | undefined>);
      }
      return subject;
    },
    address: (subject) => {
      const got = subject.split(".");
      const address: Record<string, string> = {};
      for (let at = 0; at < tokens.length; at++) {
        const slot = tokens[at]?.slot;
        if (slot !== undefined) address[slot] = got[at] ?? "";
      }
      return address as Address<P>;
    },
  };
}

/** A slot's value, or the wildcard when it is left out. */
function legal(slot: string, address: Readonly<Record<string, string | undefined>>): string {
  const value = address[slot];
  if (value === undefined) return "*";
  if (!LEGAL_TOKEN.test(value)) throw new IllegalToken(slot, value);
  return value;
}

/** A contract whose body is JSON that `body` accepts. */
export const json = <const P extends string, S extends z.ZodType>(pattern: P, body: S): JsonContract<P, S> =>
  build(pattern, body) as JsonContract<P, S>;

/** A contract whose body is the caller's bytes. */
export const raw = <const P extends string>(pattern: P): Contract<P> => build(pattern, undefined);
