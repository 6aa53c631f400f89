/** Layers as the bucket keeps them and as the API shows them. Source: Lambda API reference and recorded answers of Lambda. */
import { LayerRecord, LayerVersion, layerKey, layerVersionKey } from "../../subjects/layer.ts";
import { CODE_BUCKET } from "../../subjects/streams.ts";
import type { Bucket } from "../bus/storage.ts";
import { readAll } from "./account.ts";
import { layerArn } from "./validation/layers.ts";
import type { Caller } from "./validation/names.ts";

/** The layer's record; one that nobody has published yet has none, and no `revision`. */
export async function layerRecord(
  layers: Bucket,
  acct: string,
  layer: string,
): Promise<{ readonly record: LayerRecord; readonly revision: number | undefined }> {
  const entry = await layers.get(layerKey(acct, layer));
  if (entry === undefined) return { record: { acct, layer, nextVersion: 1, versions: [] }, revision: undefined };
  return { record: LayerRecord.parse(entry.value), revision: entry.revision };
}

/** Of the account, by name; those without versions included. */
export const layerRecords = async (layers: Bucket, acct: string): Promise<LayerRecord[]> =>
  readAll(layers, await layers.keys(layerKey(acct, "*")), (value) => LayerRecord.parse(value));

/** Those that are published, oldest first. */
export const versionsOf = (layers: Bucket, { acct, layer, versions }: LayerRecord): Promise<LayerVersion[]> =>
  readAll(
    layers,
    versions.map((version) => layerVersionKey(acct, layer, version)),
    (value) => LayerVersion.parse(value),
  );

/** The version, if it is published. */
export async function publishedVersion(
  layers: Bucket,
  acct: string,
  layer: string,
  version: number,
): Promise<LayerVersion | undefined> {
  const { record } = await layerRecord(layers, acct, layer);
  if (!record.versions.includes(version)) return undefined;
  const entry = await layers.get(layerVersionKey(acct, layer, version));
  return entry === undefined ? undefined : LayerVersion.parse(entry.value);
}

/** A version with its package, as Publish and Get show it. */
export const layerVersionBody = (caller: Caller, version: LayerVersion): object => ({
  Content: {
    Location: `nats-obj://${CODE_BUCKET}/${version.sha256}`,
    CodeSha256: Buffer.from(version.sha256, "hex").toString("base64"),
    CodeSize: version.zipBytes,
  },
  LayerArn: layerArn(caller, version.layer),
  ...layerVersionItem(caller, version),
});

/** A version as lists show it. */
export const layerVersionItem = (caller: Caller, version: LayerVersion): object => ({
  LayerVersionArn: `${layerArn(caller, version.layer)}:${version.version}`,
  Version: version.version,
  Description: version.description,
  CreatedDate: new Date(version.createdAt).toISOString().replace("Z", "+0000"),
  ...(version.runtimes === undefined ? {} : { CompatibleRuntimes: version.runtimes }),
  ...(version.architectures === undefined ? {} : { CompatibleArchitectures: version.architectures }),
  ...(version.license === undefined ? {} : { LicenseInfo: version.license }),
});
