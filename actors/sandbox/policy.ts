/** What a sandbox answers when its process could not: Lambda's error JSON. Source: recorded answers of Lambda, 2024–2025. */

/** An error as the caller gets it: `payload` is JSON text, `errorType` goes into the logs. */
export interface RuntimeError {
  readonly errorType: string;
  readonly payload: string;
}

/** How a process ended: one of code and signal is null. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
}

const SIGNAL_NAMES: Readonly<Record<string, string>> = {
  SIGKILL: "killed",
  SIGSEGV: "segmentation fault",
  SIGABRT: "aborted",
  SIGTERM: "terminated",
  SIGILL: "illegal instruction",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
};

const platformError = (errorType: string, requestId: string, text: string): RuntimeError => ({
  errorType,
  payload: JSON.stringify({ errorType, errorMessage: `RequestId: ${requestId} Error: ${text}` }),
});

export function exitError(requestId: string, { code, signal, outOfMemory }: ProcessExit): RuntimeError {
  if (outOfMemory) return platformError("Runtime.OutOfMemory", requestId, "Runtime exited with error: signal: killed");
  if (signal !== null) {
    const how = SIGNAL_NAMES[signal] ?? signal.toLowerCase();
    return platformError("Runtime.ExitError", requestId, `Runtime exited with error: signal: ${how}`);
  }
  return code === 0
    ? platformError("Runtime.ExitError", requestId, "Runtime exited without providing a reason")
    : platformError("Runtime.ExitError", requestId, `Runtime exited with error: exit status ${code}`);
}

/** Seconds carry two decimals, as Lambda writes them. */
export const timedOut = (requestId: string, timeoutMs: number): RuntimeError =>
  platformError("Sandbox.Timedout", requestId, `Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`);

/** Characters of an init error: it travels inside other messages, where each may take six bytes. */
const MAX_INIT_ERROR = 128 * 1024;

/** What a runtime says of its failed init; a text without end is replaced by its type. */
export const initError = (errorType: string, payload: string): RuntimeError => ({
  errorType,
  payload:
    payload.length <= MAX_INIT_ERROR
      ? payload
      : JSON.stringify({
          errorType,
          errorMessage: `The error's description is too long (${payload.length} characters).`,
        }),
});

export const responseTooLarge = (allowedBytes: number): RuntimeError => ({
  errorType: "Function.ResponseSizeTooLarge",
  payload: JSON.stringify({
    errorMessage: `Response payload size exceeded maximum allowed payload size (${allowedBytes} bytes).`,
    errorType: "Function.ResponseSizeTooLarge",
  }),
});

export const readerLost = (requestId: string): RuntimeError =>
  platformError("Sandbox.ReaderLost", requestId, "Nobody reads the response any more");

export const abandoned = (requestId: string): RuntimeError =>
  platformError("Sandbox.Abandoned", requestId, "Its worker was not heard for too long, and had been given up");

/** Why a host couldn't make a sandbox. Callers are told `text`; the rest is for the worker's log. */
export interface HostFault {
  /** The system's own, such as `ENOSPC`, where it has one. */
  readonly name: string;
  readonly text: string;
}

/** Its boot has taken so long that nobody waits for it any more; the message says what it was at. */
export class BootTimedOut extends Error {
  override readonly name = "BootTimedOut";
}

/** What is wrong with the function itself, whichever host it comes to: its package, or where it wants to go. */
const OF_THE_FUNCTION: ReadonlySet<string> = new Set(["CodeMissing", "CodeCorrupt", "CodeUnsafe", "EgressForbidden"]);

/** Their messages are written for whoever invokes, and tell nothing of the host that isn't theirs to know. */
const FOR_CALLERS: ReadonlySet<string> = new Set(["EgressUnavailable", "RuntimeNotInstalled", "WrongArchitecture"]);

/**
 * Why a sandbox couldn't be made: by the function's own fault, with the error's name as its type; or else by its host's, as
 * everything is that isn't known to be the function's.
 */
export function notMade(cause: unknown): { readonly error: RuntimeError } | { readonly fault: HostFault } {
  const error: NodeJS.ErrnoException = cause instanceof Error ? cause : new Error(String(cause));
  const { message } = error;
  if (OF_THE_FUNCTION.has(error.name)) {
    const errorType = error.name;
    return { error: { errorType, payload: JSON.stringify({ errorType, errorMessage: message }) } };
  }
  const name = error.code ?? error.name;
  return { fault: { name, text: FOR_CALLERS.has(name) ? `${name}: ${message}` : name } };
}
