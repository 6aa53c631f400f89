/** The same function in each language: what the conformance suite asks of every runtime, one handler per behaviour. */

export const nodeFunction = {
  "index.mjs": `
import { execFileSync } from "node:child_process";
let count = 0;
export const handler = async (event) => ({ event, count: ++count });
export const context = async (_event, context) => ({
  requestId: context.awsRequestId,
  arn: context.invokedFunctionArn,
  name: context.functionName,
  version: context.functionVersion,
  memory: context.memoryLimitInMB,
  group: context.logGroupName,
  stream: context.logStreamName,
  custom: context.clientContext.custom,
  identity: context.identity.cognitoIdentityId,
  inTime: context.getRemainingTimeInMillis() > 0 && context.getRemainingTimeInMillis() <= 20000,
});
export const environment = async () => process.env;
export const fail = async (event) => {
  if (event.fail) throw new TypeError("no such greeting");
  return "fine";
};
export const leave = async (event) => process.exit(event.code);
export const large = async (event) => "x".repeat(event.length);
export const descriptors = async () =>
  execFileSync("/bin/ls", ["-l", "/proc/self/fd"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
export const trace = async () => process.env._X_AMZN_TRACE_ID ?? null;
export const print = async (event) => { console.log(event); };
`,
  "broken.mjs": "export const handler = async () => {",
  "orphan.mjs": 'import "no-such-package";\nexport const handler = async () => {};',
};

export const pythonFunction = {
  "index.py": `
import logging, os, subprocess, sys
count = 0
def handler(event, context):
    global count
    count += 1
    return {"event": event, "count": count}
def context(event, context):
    return {
        "requestId": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": context.log_stream_name,
        "custom": context.client_context.custom,
        "identity": context.identity.cognito_identity_id,
        "inTime": 0 < context.get_remaining_time_in_millis() <= 20000,
    }
def environment(event, context):
    return dict(os.environ)
def fail(event, context):
    if event.get("fail"):
        raise TypeError("no such greeting")
    return "fine"
def leave(event, context):
    sys.exit(event["code"])
def large(event, context):
    return "x" * event["length"]
def descriptors(event, context):
    return subprocess.check_output(["/bin/ls", "-l", "/proc/self/fd"], close_fds=False).decode()
def trace(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")
def print_(event, context):
    print(event)
`,
  "broken.py": "def handler(event, context)\n",
  "orphan.py": "import no_such_package\n",
};

/** A runtime of one's own as small as it can be: \`fetch\` and a loop around the Node function. */
export const ownClient = `#!${process.execPath}
const base = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/";
const { env } = process;
const [file, name] = env._HANDLER.split(".");
(async () => {
  const handler = (await import(process.cwd() + "/" + file + ".mjs"))[name];
  for (;;) {
    const next = await fetch(base + "invocation/next");
    const header = (name) => next.headers.get("lambda-runtime-" + name);
    const id = header("aws-request-id");
    const json = (text) => (text === null ? undefined : JSON.parse(Buffer.from(text, "latin1").toString()));
    if (header("trace-id") === null) delete env._X_AMZN_TRACE_ID;
    else env._X_AMZN_TRACE_ID = header("trace-id");
    const context = {
      awsRequestId: id,
      invokedFunctionArn: header("invoked-function-arn"),
      functionName: env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: json(header("client-context")),
      identity: json(header("cognito-identity")),
      getRemainingTimeInMillis: () => Number(header("deadline-ms")) - Date.now(),
    };
    const post = (what, body, headers = {}) =>
      fetch(base + "invocation/" + id + "/" + what, { method: "POST", body: JSON.stringify(body), headers });
    try {
      await post("response", (await handler(await next.json(), context)) ?? null);
    } catch (error) {
      const body = { errorType: error.name, errorMessage: error.message, trace: [] };
      await post("error", body, { "lambda-runtime-function-error-type": "Function." + error.name });
    }
  }
})();
`;
