/**
 * The runtimes functions may ask for: Lambda's own list, as far as sandboxes here know how to start them, and what was added
 * to workers.
 */
import { Refused } from "../../../subjects/errors.ts";
import type { Constraints } from "./constraints.ts";
import type { Caller } from "./names.ts";

export const ARCHITECTURES = ["x86_64", "arm64"] as const;

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

/** Every name Lambda ever had: a layer may say that it is for any of them. Source: Lambda API reference, `Runtime`. */
export const LAMBDA_RUNTIMES: readonly string[] = [
  ...["nodejs", "nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x"],
  ...["java8", "java8.al2", "java11", "python2.7", "python3.6", "python3.7", "python3.8", "python3.9"],
  ...["dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet6", "dotnet8", "nodejs4.3-edge"],
  ...["go1.x", "ruby2.5", "ruby2.7", "provided", "provided.al2", "nodejs18.x", "python3.10", "java17", "ruby3.2"],
  ...["ruby3.3", "ruby3.4", "python3.11", "nodejs20.x", "provided.al2023", "python3.12", "java21", "python3.13"],
  ...["nodejs22.x", "nodejs24.x", "python3.14", "java25", "dotnet10", "ruby4.0", "nodejs26.x", "python3.15"],
  ...["java8.al2023", "java11.al2023", "java17.al2023"],
];

/** Throws `Refused`: a bad runtime is no ValidationException in Lambda, it has a shape of its own. */
export function runtimeOf(check: Constraints, { offered }: Caller): string | undefined {
  const runtime = check.text("Runtime");
  if (runtime === undefined || RUNTIMES.includes(runtime) || offered?.().includes(runtime)) return runtime;
  throw new Refused(
    "InvalidParameterValueException",
    `Value ${runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [${RUNTIMES.join(", ")}] or be a valid ARN`,
  );
}
