/**
 * The catalogue of refusals. Codes are HTTP-like and stable, names are Lambda's where Lambda has one; the wording may change.
 * Source: Lambda API reference, "Errors" of Invoke and of the function operations.
 */
import { z } from "zod";

export const ERRORS = {
  InvalidParameterValueException: 400,
  InvalidRequestContentException: 400,
  ValidationException: 400,
  RequestMalformed: 400,
  ResourceInUseException: 400,
  CodeStorageExceededException: 400,
  AccessDeniedException: 403,
  ResourceNotFoundException: 404,
  UnknownOperationException: 404,
  ResourceConflictException: 409,
  NotReady: 409,
  PreconditionFailedException: 412,
  RequestTooLargeException: 413,
  TooManyRequestsException: 429,
  ServiceException: 500,
  InvalidRuntimeException: 502,
  NoRoom: 507,
} as const;

export type ErrorName = keyof typeof ERRORS;

/** A refusal as it travels inside events and bodies. `reason` is Lambda's `Reason` of a throttle. */
export const Refusal = z.object({
  name: z.enum(Object.keys(ERRORS) as [ErrorName, ...ErrorName[]]),
  message: z.string(),
  reason: z.string().optional(),
});
export type Refusal = z.infer<typeof Refusal>;

export const refusal = (name: ErrorName, message: string, reason?: string): Refusal =>
  reason === undefined ? { name, message } : { name, message, reason };

/** How an invocation ends whose worker was given up: nobody waits to see how it would have ended. */
export const workerLost = (workerId = ""): Refusal =>
  refusal("ServiceException", `worker ${workerId} was lost while it ran the function`);

/** Thrown where a request is refused by name: the bus answers with the refusal it carries. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly refusal: Refusal;

  constructor(name: ErrorName, message: string, reason?: string) {
    super(`${name}: ${message}`);
    this.refusal = refusal(name, message, reason);
  }
}

/** Names whose JSON carries `message` in lower case; Lambda writes the others' as `Message`. */
const LOWER_CASE_MESSAGE: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "InvalidParameterValueException",
  "InvalidRequestContentException",
  "ValidationException",
  "ResourceConflictException",
  "TooManyRequestsException",
  "RequestTooLargeException",
  "PreconditionFailedException",
  "CodeStorageExceededException",
]);

/** The body Lambda's API would send for a refusal. */
export function errorBody({ name, message, reason }: Refusal): Record<string, string> {
  const text = LOWER_CASE_MESSAGE.has(name) ? { message } : { Message: message };
  if (name === "ValidationException") return text;
  const type = { Type: ERRORS[name] >= 500 ? "Service" : "User" };
  return reason === undefined ? { ...type, ...text } : { Reason: reason, ...type, ...text };
}
