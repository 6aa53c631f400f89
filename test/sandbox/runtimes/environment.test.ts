import { describe, expect, test } from "vitest";
import { lambdaEnvironment, logStreamName, refusedNames } from "../../../actors/sandbox/runtimes/environment.ts";

const fn = {
  functionName: "greet",
  functionVersion: "$LATEST",
  handler: "index.handler",
  runtime: "nodejs24.x",
  memoryMiB: 256,
  region: "eu-west-1",
  variables: {},
  logFormat: "Text" as const,
  logStreamName: "2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef",
};

describe("a function's environment", () => {
  test("names the function as Lambda does", () => {
    expect(lambdaEnvironment(fn)).toMatchObject({
      _HANDLER: "index.handler",
      AWS_REGION: "eu-west-1",
      AWS_DEFAULT_REGION: "eu-west-1",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      AWS_LAMBDA_FUNCTION_NAME: "greet",
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
      AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/greet",
      LAMBDA_TASK_ROOT: "/var/task",
      LAMBDA_RUNTIME_DIR: "/var/runtime",
      TZ: ":UTC",
      NODE_PATH:
        "/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
    });
  });

  test("lets the owner override what Lambda lets them, and nothing else", () => {
    const variables = {
      PATH: "/mine",
      TZ: "Europe/Zurich",
      COLOUR: "red",
      AWS_REGION: "mars",
      _HANDLER: "x",
      "1bad": "x",
    };
    const environment = lambdaEnvironment({ ...fn, variables });
    expect(environment).toMatchObject({ PATH: "/mine", TZ: "Europe/Zurich", COLOUR: "red", AWS_REGION: "eu-west-1" });
    expect(environment._HANDLER).toBe("index.handler");
    expect(environment).not.toHaveProperty("1bad");
    expect(refusedNames(variables)).toEqual(["AWS_REGION", "_HANDLER", "1bad"]);
  });

  test("has a log stream of Lambda's form, whose end is its sandbox's id", () => {
    const [, digits = ""] =
      /^2026\/11\/23\/\[7\]([0-9a-f]{32})$/.exec(
        logStreamName(new Date("2026-11-23T23:59:59Z"), "7", "588ba7911-12"),
      ) ?? [];
    expect(Buffer.from(digits, "hex").toString().replaceAll("\0", "")).toBe("588ba7911-12");
    const long = (n: number) => logStreamName(new Date(0), "$LATEST", `588ba791zz-${1_000_000 + n}`);
    expect(long(1)).toMatch(/^1970\/01\/01\/\[\$LATEST\][0-9a-f]{32}$/);
    expect(long(1)).not.toBe(long(2));
  });

  test("promises no X-Ray daemon where there is none, and no complaint about that", () => {
    const environment = lambdaEnvironment(fn);
    expect(environment.AWS_XRAY_CONTEXT_MISSING).toBe("LOG_ERROR");
    // The SDK then sends to the loopback, where nobody listens: to an address without a route it complains of every segment.
    expect(environment).not.toHaveProperty("AWS_XRAY_DAEMON_ADDRESS");
  });

  test("has no execution environment for custom runtimes, and Python's path for Python", () => {
    expect(lambdaEnvironment({ ...fn, runtime: "provided.al2023" })).not.toHaveProperty("AWS_EXECUTION_ENV");
    const python = lambdaEnvironment({ ...fn, runtime: "python3.11" });
    expect(python.PYTHONPATH).toBe("/var/runtime");
    expect(python).not.toHaveProperty("NODE_PATH");
  });

  test("tells of format and level only when the log is JSON", () => {
    expect(lambdaEnvironment(fn)).not.toHaveProperty("AWS_LAMBDA_LOG_FORMAT");
    const json = lambdaEnvironment({ ...fn, logFormat: "JSON", logLevel: "WARN" });
    expect(json).toMatchObject({ AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "WARN" });
  });

  test("holds credentials only when there are some", () => {
    expect(lambdaEnvironment({ ...fn, variables: { AWS_ACCESS_KEY_ID: "mine" } })).not.toHaveProperty(
      "AWS_ACCESS_KEY_ID",
    );
    const credentials = { accessKeyId: "A", secretAccessKey: "S", sessionToken: "T" };
    expect(lambdaEnvironment({ ...fn, credentials })).toMatchObject({
      AWS_ACCESS_KEY_ID: "A",
      AWS_SECRET_ACCESS_KEY: "S",
      AWS_SESSION_TOKEN: "T",
    });
  });
});
