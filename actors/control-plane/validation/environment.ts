/**
 * A function's environment variables: names, the 4 KB they may take together, and those that belong to the platform.
 * Source: Lambda developer guide, "Defined runtime environment variables"
 */
import { Refused } from "../../../subjects/errors.ts";
import type { Constraints } from "./constraints.ts";

const NAME = "[a-zA-Z]([a-zA-Z0-9_])+";
const MAX_BYTES = 4096;
const COULD_NOT =
  "Lambda was unable to configure your environment variables because the environment variables you have provided";

const RESERVED: ReadonlySet<string> = new Set([
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_DEFAULT_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_LAMBDA_RUNTIME_API",
  "AWS_REGION",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "LAMBDA_RUNTIME_DIR",
  "LAMBDA_TASK_ROOT",
]);

export function environmentOf(check: Constraints): { Variables: Record<string, string> } | undefined {
  const inside = check.inside("Environment");
  if (inside === undefined) return undefined;
  const variables = inside.map("Variables") ?? {};
  const names = Object.keys(variables);
  if (names.some((name) => !new RegExp(`^${NAME}$`).test(name) && !RESERVED.has(name)))
    inside.wrong(
      "Variables",
      variables,
      `satisfy constraint: [Map keys must satisfy constraint: [Member must satisfy regular expression pattern: ${NAME}]]`,
    );
  const reserved = names.filter((name) => RESERVED.has(name));
  if (reserved.length > 0)
    throw new Refused(
      "InvalidParameterValueException",
      `${COULD_NOT} contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(", ")}`,
    );
  const measured = JSON.stringify(variables);
  if (Buffer.byteLength(measured) > MAX_BYTES)
    throw new Refused(
      "InvalidParameterValueException",
      `${COULD_NOT} exceeded the 4KB limit. String measured: ${measured}`,
    );
  return { Variables: variables };
}
