/** The context object a handler is given; names and meanings are Lambda's. */
"use strict";

/** `settle` ends the invocation at once: `settle(error)` or `settle(null, result)`. */
function createContext(init, header, settle) {
  const { env } = process;
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: init.functionName,
    functionVersion: init.functionVersion,
    memoryLimitInMB: String(init.memoryMiB),
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse(header.clientContext),
    identity: parse(header.cognitoIdentity),
    invokedFunctionArn: header.invokedFunctionArn,
    awsRequestId: header.requestId,
    tenantId: header.tenantId,
    getRemainingTimeInMillis: () => Math.max(0, header.deadlineMs - Date.now()),
    done: (error, result) => settle(error ?? null, result),
    fail: (error) => settle(error ?? "handled"),
    succeed: (result) => settle(null, result),
  };
}

function parse(json) {
  return json === undefined ? undefined : JSON.parse(json);
}

module.exports = { createContext };
