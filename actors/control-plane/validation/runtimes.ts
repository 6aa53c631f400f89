/** The runtimes functions may ask for. Source: Lambda's own list, as far as sandboxes here know how to start them. */
import { Refused } from "../../../subjects/errors.ts";
import type { Constraints } from "./constraints.ts";

export const RUNTIMES: readonly string[] = [
  "nodejs20.x",
  "nodejs22.x",
  "nodejs24.x",
  "nodejs26.x",
  "python3.9",
  "python3.10",
  "python3.11",
  "python3.12",
  "python3.13",
  "python3.14",
  "python3.15",
  "provided.al2",
  "provided.al2023",
];

/** Throws `Refused`: a bad runtime is no ValidationException in Lambda, it has a shape of its own. */
export function runtimeOf(check: Constraints): string | undefined {
  const runtime = check.text("Runtime");
  if (runtime === undefined || RUNTIMES.includes(runtime)) return runtime;
  throw new Refused(
    "InvalidParameterValueException",
    `Value ${runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [${RUNTIMES.join(", ")}] or be a valid ARN`,
  );
}
