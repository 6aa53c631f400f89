/** From bytes to what a contract promises. Throws an Error that says what is wrong with the body. */
import type { Message } from "./port.ts";
import type { Hear } from "./wiring.ts";

const decoder = new TextDecoder();

/** The body of a row's contract; the bytes themselves where the contract is raw. An empty body counts as `{}`. */
export function decode(row: Hear<unknown>, message: Message): unknown {
  const { data } = message;
  if (row.contract.body === undefined) return data;
  if (row.nobody !== undefined && data.length === 0 && message.isNobody) return row.nobody;
  const parsed = row.contract.body.safeParse(data.length === 0 ? {} : JSON.parse(decoder.decode(data)));
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map((each) => `${each.path.join(".")}: ${each.message}`).join("; "));
}
