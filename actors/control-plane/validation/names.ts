/**
 * The ways Lambda lets a caller name a function: `name`, `name:qualifier`, `<account>:function:name`, or the whole ARN.
 * Source: Lambda API reference, `FunctionName` and `Qualifier`
 */
import { Refused } from "../../../subjects/errors.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import type { Constraints } from "./constraints.ts";

/** Who asks, and where: the account was stamped by the server. */
export interface Caller {
  readonly acct: string;
  readonly region: string;
  /** Runtimes that may be named there beside Lambda's. */
  readonly offered?: () => readonly string[];
}

export interface Named {
  readonly fn: string;
  /** `$LATEST`, a number or an alias. */
  readonly qualifier: string | undefined;
}

const NAME =
  "(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";
const PARTS =
  /^(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?<region>[a-z]{2}(?:-gov)?-[a-z]+-\d):)?(?:(?<acct>\d{12}):)?(?:function:)?(?<fn>[a-zA-Z0-9-_]+)(?::(?<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?$/;
const QUALIFIER = "\\$LATEST|[a-zA-Z0-9-_]+";
const MAX_NAME = 64;
const MAX_ANY_FORM = 140;

export const arnOf = ({ acct, region }: Caller, fn: string): string =>
  `arn:aws:lambda:${region}:${acct}:function:${fn}`;

/** Reads `FunctionName` (or the field named) and `Qualifier`. Throws `Refused`. */
export function functionNamed(check: Constraints, caller: Caller, field = "FunctionName"): Named {
  const given = check.required(field, check.text(field, { min: 1, pattern: NAME }), "");
  const qualifier = check.text("Qualifier", { min: 1, max: 128, pattern: QUALIFIER });
  check.done();
  const parts = PARTS.exec(given)?.groups;
  const fn = parts?.fn;
  if (parts === undefined || fn === undefined) return refuseName(check, field, given);
  if (fn.length > MAX_NAME || given.length > MAX_ANY_FORM) {
    throw new Refused(
      "InvalidParameterValueException",
      `1 validation error detected: Value '${given}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to ${MAX_NAME}`,
    );
  }
  const { region, acct, qualifier: derived } = parts;
  if (region !== undefined && region !== caller.region)
    throw new Refused(
      "ResourceNotFoundException",
      `Functions from '${region}' are not reachable in this region ('${caller.region}')`,
    );
  if (acct !== undefined && acct !== caller.acct)
    throw new Refused("AccessDeniedException", `account ${caller.acct} has no permission on functions of ${acct}`);
  if (derived !== undefined && qualifier !== undefined && derived !== qualifier)
    throw new Refused(
      "InvalidParameterValueException",
      "The derived qualifier from the function name does not match the specified qualifier.",
    );
  return { fn, qualifier: qualifier ?? derived };
}

/** As `functionNamed`, for operations on the function itself. `refused` says why a version or alias won't do. */
export function unqualified(check: Constraints, caller: Caller, refused: string, field?: string): string {
  const { fn, qualifier } = functionNamed(check, caller, field);
  if (qualifier !== undefined && qualifier !== LATEST) throw new Refused("InvalidParameterValueException", refused);
  return fn;
}

function refuseName(check: Constraints, field: string, given: string): never {
  check.wrong(field, given, `satisfy regular expression pattern: ${NAME}`);
  check.done();
  throw new Refused("InvalidParameterValueException", `"${given}" is no function name`);
}
