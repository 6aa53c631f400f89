/**
 * A layer version as the control plane keeps it in the LAYERS bucket, at `<acct>.<layer>.<version>`. It never changes; once
 * it is deleted, functions that were given it go on with its package, which they know by its SHA-256.
 * Source: Lambda API reference, LayerVersionsListItem.
 */
import { z } from "zod";
import { AccountId, Token } from "./tokens.ts";

export const LayerVersion = z.object({
  acct: AccountId,
  layer: Token,
  version: z.number().int().positive(),
  description: z.string(),
  /** Epoch ms. */
  createdAt: z.number(),
  /** Lower-case hexadecimal SHA-256 of the zip in the CODE bucket, and its size in bytes. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  zipBytes: z.number().int().nonnegative(),
  unzippedBytes: z.number().int().nonnegative(),
  /** What its publisher says it is for; nothing is refused by it, as in Lambda. */
  runtimes: z.array(z.string()).optional(),
  architectures: z.array(z.enum(["x86_64", "arm64"])).optional(),
  license: z.string().optional(),
});
export type LayerVersion = z.infer<typeof LayerVersion>;

/** The value at `<acct>.<layer>`. It stays when its last version is deleted: a number is never used twice. */
export const LayerRecord = z.object({
  acct: AccountId,
  layer: Token,
  nextVersion: z.number().int().positive(),
  /** Those that exist, oldest first: only what is listed here counts as published. */
  versions: z.array(z.number().int().positive()),
});
export type LayerRecord = z.infer<typeof LayerRecord>;

export const layerKey = (acct: string, layer: string): string => `${acct}.${layer}`;
export const layerVersionKey = (acct: string, layer: string, version: number | string): string =>
  `${acct}.${layer}.${version}`;
