/** Ids that come out the same for the same thing, wherever they are worked out: in the form of a UUID. */
import { createHash } from "node:crypto";

/** Version 8 of RFC 9562, whose bits are its maker's own. */
export function deterministicId(of: string): string {
  const hash = createHash("sha256").update(of).digest("hex");
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join("-");
}
