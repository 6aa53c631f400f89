/**
 * Counting: who may run how many at once. A front end holds *tokens*, each the right to one running invocation of one
 * function; it keeps an idle token for a moment so that a warm invoke asks nobody.
 */
import { z } from "zod";
import { json } from "./contract.ts";
import { Refusal } from "./errors.ts";
import { AccountId, Token } from "./tokens.ts";

const Holder = { acct: AccountId, fn: Token, frontendId: Token, poolId: Token };

/** Request: `count` more tokens. */
export const Admit = json("mayfly.counting.{acct}.admit", z.object({ ...Holder, count: z.number().int().positive() }));

/** Reply: how many were granted (0..count), and, if fewer than asked, why. */
export const Admitted = z.object({ granted: z.number().int().nonnegative(), refused: Refusal.optional() });
export type Admitted = z.infer<typeof Admitted>;

/** Tokens given back. */
export const Release = json(
  "mayfly.counting.{acct}.release",
  z.object({ ...Holder, count: z.number().int().positive() }),
);

/** What a front end holds, said every tick: renews the tokens, and rebuilds a counting service that lost its memory. */
export const Held = json("mayfly.counting.{acct}.held", z.object({ ...Holder, count: z.number().int().nonnegative() }));

/**
 * To front ends: give back idle tokens, somebody waits. Without `fn`, of any function of the account. `atMost` says that
 * the function's limit has changed: from now on hold no more than so many tokens of it (`null`: as many as are granted).
 */
export const Recall = json(
  "mayfly.frontend.recall.{acct}",
  z.object({ fn: Token.optional(), atMost: z.number().int().nonnegative().nullable().optional() }),
);

/** To front ends and workers: say what you hold, now. */
export const Recount = json("mayfly.recount", z.object({}));
