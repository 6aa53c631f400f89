/** Which sandboxes of a pool that is replaced are stopped. */
import type { Book } from "./book.ts";
import type { Decision } from "./events.ts";

/** Every one that nobody holds; a held one may be about to run, and is stopped once it is given back. */
export const stopUnheld = ({ slots }: Book, reason: string): readonly Decision[] =>
  [...slots].flatMap(([sandboxId, slot]) =>
    slot.at === "placing" || slot.at === "placed" || slot.at === "held"
      ? []
      : [{ type: "stop" as const, sandboxId, workerId: slot.workerId, reason }],
  );
