/** Invoking over NATS with the response as it is produced. What `mayfly invoke --stream` does, without its words. */
import { answersTo } from "../actors/bus/nats.ts";
import { NoAnswer } from "../actors/bus/port.ts";
import { refusalOf } from "../actors/bus/replies.ts";
import { Refused } from "../subjects/errors.ts";
import { EVENT_TYPE, FLOW_CONTROL, INVOCATION_TYPE, SEQUENCE } from "../subjects/headers.ts";
import { INVOKE_COMPLETE, READER_AWAITED, RESPONSE_STREAM } from "../subjects/response-stream.ts";
import { NotRunning } from "./failure.ts";
import { type Invocation, type Invoked, LONGEST_MS, requestOf } from "./invocation.ts";
import { readReceipt } from "./receipt.ts";
import type { Session } from "./session.ts";

/** What came isn't all that was sent. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken";
}

/**
 * Gives `write` the response piece by piece, and waits for it: no more than a window of it comes before. Resolves at the end, with an empty payload or the error's
 * JSON. Throws `StreamBroken` where some of it was lost on the way, and as `invokeFunction` does.
 */
export async function streamFunction(
  session: Session,
  invocation: Invocation,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<Invoked> {
  const said = requestOf(invocation);
  const asked = { ...said, headers: { ...said.headers, [INVOCATION_TYPE]: RESPONSE_STREAM, [FLOW_CONTROL]: "true" } };
  let came = 0;
  try {
    for await (const message of answersTo(session.connection, asked, LONGEST_MS)) {
      const refused = refusalOf(message);
      if (refused !== undefined) throw new Refused(refused.name, refused.message, refused.reason);
      if (message.header(EVENT_TYPE) !== READER_AWAITED) came += 1;
      const sequence = Number(message.header(SEQUENCE) ?? came);
      if (sequence !== came) throw new StreamBroken(`message ${came} of the response was lost on the way`);
      if (message.header(EVENT_TYPE) === INVOKE_COMPLETE) {
        return { payload: message.data, receipt: readReceipt(message) };
      }
      await write(message.data);
      if (message.replyTo !== undefined) session.network.publish({ subject: message.replyTo, payload: "" });
    }
  } catch (cause) {
    if (cause instanceof NoAnswer) throw new NotRunning(`no front end answers (${cause.message})`, { cause });
    throw cause;
  }
  throw new StreamBroken(`the response has no end: ${came} messages of it came`);
}
