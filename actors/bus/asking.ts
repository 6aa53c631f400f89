/** One question of an actor: it always comes back as an event, whether answered, refused or not heard at all. */
import { refusal } from "../../subjects/errors.ts";
import type { Network } from "./port.ts";
import { refusalOf } from "./replies.ts";
import type { Ask } from "./wiring.ts";

const decoder = new TextDecoder();

export async function askFor<Heard>(network: Network, row: Ask<unknown, Heard>, emitted: unknown): Promise<Heard> {
  try {
    const reply = await network.request(row.request(emitted), row.timeoutMs);
    const refused = refusalOf(reply);
    if (refused !== undefined) return row.failed(refused, emitted);
    return row.answered(JSON.parse(decoder.decode(reply.data)), emitted);
  } catch (error) {
    return row.failed(refusal("ServiceException", error instanceof Error ? error.message : String(error)), emitted);
  }
}
