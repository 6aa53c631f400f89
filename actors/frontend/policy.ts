/** What the front end decides about a request before it costs anything. Source: Lambda API reference, Invoke. */
import { type Refusal, refusal } from "../../subjects/errors.ts";
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import { RESPONSE_STREAM } from "../../subjects/response-stream.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** A payload must be JSON, as Lambda demands; an empty one is passed on as `{}`. */
export function checkPayload(payload: Uint8Array, maxBytes = MAX_PAYLOAD_BYTES): Refusal | undefined {
  if (payload.length > maxBytes) {
    const text = `Request must be smaller than ${maxBytes} bytes for the InvokeFunction operation`;
    return refusal("RequestTooLargeException", text);
  }
  if (payload.length === 0) return undefined;
  try {
    JSON.parse(decoder.decode(payload));
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refusal(
      "InvalidRequestContentException",
      `Could not parse request body into json: Could not parse payload into json: ${why}`,
    );
  }
}

/** Client context is base64 of a JSON object, 3,583 bytes at most. */
export function checkClientContext(encoded: string): Refusal | undefined {
  if (encoded.length > 3583) {
    return refusal(
      "InvalidRequestContentException",
      "Client context must be no more than 3583 bytes when base64-encoded.",
    );
  }
  try {
    JSON.parse(Buffer.from(encoded, "base64").toString("utf8"));
    return undefined;
  } catch {
    return refusal("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.");
  }
}

/** Lambda's, and what is an operation of its own there. */
const INVOCATION_TYPES: readonly string[] = ["Event", "RequestResponse", "DryRun", RESPONSE_STREAM];

export function checkInvocationType(type: string): Refusal | undefined {
  if (INVOCATION_TYPES.includes(type)) return undefined;
  return refusal(
    "ValidationException",
    `1 validation error detected: Value '${type}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [${INVOCATION_TYPES.join(", ")}]`,
  );
}

/** More attempts than this at finding a free sandbox, and the platform is at fault. */
export const MAX_REFUSED_ATTEMPTS = 5;

/** Why a sandbox that can't be reached counts as one that refuses: its worker is gone, and with it all that it hosted. */
export const WORKER_GONE = "WorkerGone";
