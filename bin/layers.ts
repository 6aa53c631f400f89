/** Layers as commands name them: `deps` is the newest version of one, `deps:3` that one; an ARN is one as it is. */
import { z } from "zod";
import { Refused } from "../subjects/errors.ts";
import { callApi, listAll } from "./api.ts";
import { Misused } from "./failure.ts";
import type { Session } from "./session.ts";

/** What the CLI reads of a version; what else there is passes through. */
export const LayerVersion = z
  .object({
    LayerVersionArn: z.string(),
    Version: z.number(),
    Description: z.string().optional(),
    CreatedDate: z.string(),
    CompatibleRuntimes: z.array(z.string()).optional(),
    CompatibleArchitectures: z.array(z.string()).optional(),
    LicenseInfo: z.string().optional(),
    Content: z.object({ CodeSize: z.number(), CodeSha256: z.string() }).loose().optional(),
  })
  .loose();
export type LayerVersion = z.infer<typeof LayerVersion>;

const NAMED = /^(?<name>[A-Za-z0-9-_]+)(?::(?<version>\d+))?$/;
const ARN = /^arn:[^:]+:lambda:[^:]+:\d{12}:layer:[^:]+:\d+$/;

export interface LayerNamed {
  readonly name: string;
  readonly version: number | undefined;
}

/** Throws `Misused`. */
export function layerNamed(text: string): LayerNamed {
  const { name, version } = NAMED.exec(text)?.groups ?? {};
  if (name === undefined) throw new Misused(`"${text}" is no layer: name it, or name:version`);
  return { name, version: version === undefined ? undefined : Number(version) };
}

/** Newest first; empty for a layer that isn't there. */
export const layerVersions = (session: Session, name: string): Promise<LayerVersion[]> =>
  listAll(session, "ListLayerVersions", { LayerName: name }, "LayerVersions", LayerVersion);

/** The version with its package; without a number the newest. Throws `Refused` when there is none. */
export async function findLayer(session: Session, { name, version }: LayerNamed): Promise<LayerVersion> {
  const VersionNumber = version ?? (await layerVersions(session, name))[0]?.Version;
  if (VersionNumber === undefined)
    throw new Refused("ResourceNotFoundException", `There is no layer named ${name}: mayfly layer ls`);
  return LayerVersion.parse(await callApi(session, "GetLayerVersion", { LayerName: name, VersionNumber }));
}

/** What the API wants to be told. Throws as `layerNamed` and `findLayer`. */
export const layerArns = (session: Session, texts: readonly string[]): Promise<string[]> =>
  Promise.all(
    texts.map(async (text) => (ARN.test(text) ? text : (await findLayer(session, layerNamed(text))).LayerVersionArn)),
  );

/** `deps:3` of an ARN. */
export const layerText = (arn: string): string => arn.split(":").slice(6).join(":");
