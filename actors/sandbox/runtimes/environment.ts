/**
 * The environment variables a function finds, as Lambda sets them. Values computed here describe the sandbox's inside,
 * so they are the same on every host.
 */

export interface FunctionEnvironment {
  readonly functionName: string;
  readonly functionVersion: string;
  readonly handler: string;
  /** Lambda's name, such as `nodejs24.x`. */
  readonly runtime: string;
  readonly memoryMiB: number;
  readonly region: string;
  /** What the function's owner configured. */
  readonly variables: Readonly<Record<string, string>>;
  readonly logFormat: "Text" | "JSON";
  readonly logLevel?: string;
  /** Default `/aws/lambda/<function>`. */
  readonly logGroupName?: string;
  readonly logStreamName: string;
  readonly initializationType?: "on-demand" | "provisioned-concurrency";
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** Lambda's form, a day, the version and 32 hex digits: here those are the sandbox's id, byte by byte, after zeros. */
export function logStreamName(from: Date, version: string, sandboxId: string): string {
  const day = from.toISOString().slice(0, 10).replaceAll("-", "/");
  return `${day}/[${version}]${Buffer.from(sandboxId).toString("hex").padStart(32, "0").slice(-32)}`;
}

/** Names an owner can't set, because the platform's value always wins. */
export const reservedNames: ReadonlySet<string> = new Set([
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_DEFAULT_REGION",
  "AWS_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_LAMBDA_RUNTIME_API",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "LAMBDA_TASK_ROOT",
  "LAMBDA_RUNTIME_DIR",
]);

/** Lambda's rule for names: a letter, then at least one more letter, digit or underscore. */
const namePattern = /^[a-zA-Z][a-zA-Z0-9_]+$/;

/** The names an owner may not use, either reserved or badly formed. */
export function refusedNames(variables: Readonly<Record<string, string>>): string[] {
  return Object.keys(variables).filter((name) => reservedNames.has(name) || !namePattern.test(name));
}

/** The whole environment. Later wins: what may be overridden, the owner's variables, credentials, the platform. */
export function lambdaEnvironment(fn: FunctionEnvironment): Record<string, string> {
  const owners = Object.entries(fn.variables).filter(([name]) => !reservedNames.has(name) && namePattern.test(name));
  return {
    ...defaults(fn.runtime),
    ...Object.fromEntries(owners),
    ...credentials(fn),
    ...platform(fn),
  };
}

/** Where programs look for libraries: a process must have it from its beginning. */
export const LIBRARY_PATH =
  "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

function defaults(runtime: string): Record<string, string> {
  const values: Record<string, string> = {
    PATH: "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    LD_LIBRARY_PATH: LIBRARY_PATH,
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
  };
  const major = /^nodejs(\d+)/.exec(runtime)?.[1];
  if (major) {
    const layers = `/opt/nodejs/node${major}/node_modules:/opt/nodejs/node_modules`;
    values.NODE_PATH = `${layers}:/var/runtime/node_modules:/var/runtime:/var/task`;
  }
  if (runtime.startsWith("python")) values.PYTHONPATH = "/var/runtime";
  return values;
}

function credentials({ credentials }: FunctionEnvironment): Record<string, string> {
  if (!credentials) return {};
  return {
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    ...(credentials.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: credentials.sessionToken }),
  };
}

function platform(fn: FunctionEnvironment): Record<string, string> {
  const values: Record<string, string> = {
    _HANDLER: fn.handler,
    AWS_REGION: fn.region,
    AWS_DEFAULT_REGION: fn.region,
    AWS_LAMBDA_FUNCTION_NAME: fn.functionName,
    AWS_LAMBDA_FUNCTION_VERSION: fn.functionVersion,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(fn.memoryMiB),
    AWS_LAMBDA_INITIALIZATION_TYPE: fn.initializationType ?? "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: fn.logGroupName ?? `/aws/lambda/${fn.functionName}`,
    AWS_LAMBDA_LOG_STREAM_NAME: fn.logStreamName,
    AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001",
    LAMBDA_TASK_ROOT: "/var/task",
    LAMBDA_RUNTIME_DIR: "/var/runtime",
    AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
  };
  if (!fn.runtime.startsWith("provided")) values.AWS_EXECUTION_ENV = `AWS_Lambda_${fn.runtime}`;
  if (fn.logFormat === "JSON") {
    values.AWS_LAMBDA_LOG_FORMAT = "JSON";
    values.AWS_LAMBDA_LOG_LEVEL = fn.logLevel ?? "INFO";
  }
  return values;
}
