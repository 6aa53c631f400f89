/**
 * Reads the fields of a request and collects what is wrong with them, to refuse all at once in Lambda's words:
 * `2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: Member must …; …`.
 * A field of the wrong JSON type is refused at once, as Lambda does when it can't even read the request.
 * Source: Lambda API reference and recorded answers of Lambda
 */
import { Refused } from "../../../subjects/errors.ts";

export type Body = Readonly<Record<string, unknown>>;

interface TextLimits {
  readonly min?: number;
  readonly max?: number;
  /** As Lambda prints it; it is matched whole. */
  readonly pattern?: string;
}

const isObject = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export class Constraints {
  readonly #body: Body;
  readonly #at: string;
  readonly #problems: string[];

  constructor(body: Body, at = "", problems: string[] = []) {
    this.#body = body;
    this.#at = at;
    this.#problems = problems;
  }

  /** Adds a problem of a field. `must` continues "Member must ". */
  wrong(field: string, value: unknown, must: string): void {
    const shown = value === undefined ? "null" : `'${typeof value === "string" ? value : JSON.stringify(value)}'`;
    this.#problems.push(`Value ${shown} at '${this.#path(field)}' failed to satisfy constraint: Member must ${must}`);
  }

  /** Refuses the request if anything was wrong. Throws `Refused`. */
  done(): void {
    const count = this.#problems.length;
    if (count === 0) return;
    const list = this.#problems.join("; ");
    throw new Refused("ValidationException", `${count} validation error${count === 1 ? "" : "s"} detected: ${list}`);
  }

  text(field: string, { min = 0, max = Number.POSITIVE_INFINITY, pattern }: TextLimits = {}): string | undefined {
    const value = this.#read(field, "a string", (given) => typeof given === "string") as string | undefined;
    if (value === undefined) return undefined;
    if (value.length > max) this.wrong(field, value, `have length less than or equal to ${max}`);
    if (value.length < min) this.wrong(field, value, `have length greater than or equal to ${min}`);
    if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`).test(value))
      this.wrong(field, value, `satisfy regular expression pattern: ${pattern}`);
    return value;
  }

  integer(field: string, { min, max }: { readonly min: number; readonly max: number }): number | undefined {
    const value = this.#read(field, "a whole number", (given) => Number.isInteger(given)) as number | undefined;
    if (value === undefined) return undefined;
    if (value > max) this.wrong(field, value, `have value less than or equal to ${max}`);
    if (value < min) this.wrong(field, value, `have value greater than or equal to ${min}`);
    return value;
  }

  flag(field: string): boolean {
    return this.#read(field, "true or false", (given) => typeof given === "boolean") === true;
  }

  /** A point in time: epoch seconds, or a text of RFC 3339. In epoch milliseconds. */
  instant(field: string): number | undefined {
    const isInstant = (given: unknown) =>
      Number.isFinite(given) || (typeof given === "string" && !Number.isNaN(Date.parse(given)));
    const value = this.#read(field, "a timestamp", isInstant) as number | string | undefined;
    return typeof value === "number" ? value * 1000 : value === undefined ? undefined : Date.parse(value);
  }

  /** Structures in a list; the problems of each are collected with the others. */
  list(field: string): readonly Constraints[] | undefined {
    const isList = (given: unknown) => Array.isArray(given) && given.every(isObject);
    const value = this.#read(field, "a list of objects", isList) as readonly Body[] | undefined;
    return value?.map((each, at) => new Constraints(each, `${this.#path(field)}.${at + 1}.member.`, this.#problems));
  }

  choice<const T extends string>(field: string, choices: readonly T[]): T | undefined {
    const value = this.text(field);
    if (value !== undefined && !choices.includes(value as T))
      this.wrong(field, value, `satisfy enum value set: [${choices.join(", ")}]`);
    return value as T | undefined;
  }

  texts(field: string): readonly string[] | undefined {
    const isTexts = (given: unknown) => Array.isArray(given) && given.every((each) => typeof each === "string");
    return this.#read(field, "a list of strings", isTexts) as readonly string[] | undefined;
  }

  map(field: string): Record<string, string> | undefined {
    const isMap = (given: unknown) => isObject(given) && Object.values(given).every((each) => typeof each === "string");
    return this.#read(field, "a map of strings", isMap) as Record<string, string> | undefined;
  }

  /** The fields of a structure; its problems are collected with the others. */
  inside(field: string): Constraints | undefined {
    const value = this.#read(field, "an object", isObject) as Body | undefined;
    return value === undefined ? undefined : new Constraints(value, `${this.#path(field)}.`, this.#problems);
  }

  /** For a field that must be there: a missing one is a problem, and the stand-in is never seen after `done`. */
  required<T>(field: string, value: T | undefined, standIn: T): T {
    if (value === undefined) this.wrong(field, undefined, "not be null");
    return value ?? standIn;
  }

  has(field: string): boolean {
    return this.#body[field] !== undefined && this.#body[field] !== null;
  }

  /** The value as it was given. */
  given(field: string): unknown {
    return this.#body[field];
  }

  #path(field: string): string {
    return this.#at + field.charAt(0).toLowerCase() + field.slice(1);
  }

  #read(field: string, kind: string, fits: (given: unknown) => boolean): unknown {
    const given = this.#body[field];
    if (given === undefined || given === null) return undefined;
    if (!fits(given))
      throw new Refused(
        "InvalidRequestContentException",
        `Could not parse request body into json: ${this.#at}${field} must be ${kind}`,
      );
    return given;
  }
}
