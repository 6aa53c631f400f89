/** Who follows the FUNCTIONS bucket, and how far. */
import { z } from "zod";
import { json } from "./contract.ts";

/**
 * Said by a component that keeps a copy of the bucket and acts by it: what was written up to this revision is in force there.
 * After each change, and every second.
 */
export const Followed = json("mayfly.followed.{followerId}", z.object({ revision: z.number().int().nonnegative() }));
