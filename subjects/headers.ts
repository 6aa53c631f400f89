/**
 * Header names. Where Lambda's HTTP API has a header for it, that name is used; the rest begin with `Mayfly-`.
 * Source: Lambda Invoke API reference; NATS ADR-32 (service errors).
 */

/** What a caller may send with an invoke. */
export const INVOCATION_TYPE = "X-Amz-Invocation-Type";
export const LOG_TYPE = "X-Amz-Log-Type";
export const CLIENT_CONTEXT = "X-Amz-Client-Context";
export const TRACE_ID = "X-Amzn-Trace-Id";

/** Two events with the same one, sent within two minutes, are stored once. JetStream's own. */
export const MESSAGE_ID = "Nats-Msg-Id";

/** `true`: who asks for a streamed response acknowledges what it has read of it, see response-stream.ts. */
export const FLOW_CONTROL = "Mayfly-Flow-Control";

/** What the caller gets back. */
export const REQUEST_ID = "X-Amzn-RequestId";
export const EXECUTED_VERSION = "X-Amz-Executed-Version";
export const FUNCTION_ERROR = "X-Amz-Function-Error";
export const LOG_RESULT = "X-Amz-Log-Result";
/** `cold` or `warm`. */
export const START = "Mayfly-Start";
/**
 * Where the time went, in microseconds: `queued=…; create=…; init=…; run=…`; and `; from=stem-cell` on a cold start whose
 * sandbox was booted before it was needed.
 */
export const RECEIPT = "Mayfly-Receipt";
/** The sandbox that ran it: `<worker>/<sandbox> <isolation>`. */
export const RAN_ON = "Mayfly-Sandbox";

/** On the messages of a streamed response, see response-stream.ts: which of its events it is, its number, and of what type the bytes are. */
export const EVENT_TYPE = "Mayfly-Event-Type";
export const SEQUENCE = "Mayfly-Sequence";
export const CONTENT_TYPE = "Content-Type";

/** When a stored message is published again, and as what: the server's own. Source: NATS ADR-51. */
export const SCHEDULE = "Nats-Schedule";
export const SCHEDULE_TARGET = "Nats-Schedule-Target";

/** Set on every refusal: an HTTP-like status and `<Name>: <message>`. */
export const ERROR_CODE = "Nats-Service-Error-Code";
export const ERROR = "Nats-Service-Error";

/** Between front end and worker: the whole call as JSON, see `Call` in worker.ts. */
export const CALL = "Mayfly-Call";

/** From a poller or trigger to a front end, see RunEvent: an EventCall as JSON. */
export const EVENT_CALL = "Mayfly-Event";

/** On what waits in RETRY, and on dead letters: which attempt comes next or was the last, from 1. */
export const ATTEMPT = "Mayfly-Attempt";
/** Platform faults and throttles so far: they use up no attempt, but make the next wait longer. */
export const SETBACKS = "Mayfly-Setbacks";
/** Epoch ms before which an attempt must not begin, where the server can't keep it back itself. */
export const NOT_BEFORE = "Mayfly-Not-Before";
/** Epoch ms at which the event was accepted. */
export const ACCEPTED_AT = "Mayfly-Accepted-At";
/** On a dead letter: the version or alias the event was for; absent means the function itself. */
export const QUALIFIER = "Mayfly-Qualifier";
/** On a dead letter: `RetriesExhausted`, `EventAgeExceeded`, `ZeroReservedConcurrency`, `FunctionNotFound`, `InvalidRequest`, `Cancelled`. */
export const DEAD_REASON = "Mayfly-Dead-Reason";
/** On a dead letter of an event for a name that no function can have: the subject it was stored under, see UNKNOWN in dead.ts. */
export const ORIGINAL_SUBJECT = "Mayfly-Original-Subject";
/** On a dead letter: the last error's type, and the first kilobyte of its message. */
export const ERROR_TYPE = "Mayfly-Error-Type";
export const ERROR_MESSAGE = "Mayfly-Error-Message";
