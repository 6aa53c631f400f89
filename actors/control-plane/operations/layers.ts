/**
 * PublishLayerVersion and DeleteLayerVersion, and what a function finds of the layers it names. A layer's package has no
 * Pending state to be looked at in: it is read through while its publisher waits.
 * Source: Lambda API reference and recorded answers of Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import { type LayerRecord, type LayerVersion, layerKey, layerVersionKey } from "../../../subjects/layer.ts";
import { type Bucket, type CodeStore, Conflict } from "../../bus/storage.ts";
import type { FoundLayer } from "../commands.ts";
import { layerRecord, layerVersionBody, publishedVersion } from "../layer.ts";
import { takeIn } from "../package/intake.ts";
import { lookedThrough } from "../package/zip.ts";
import type { Constraints } from "../validation/constraints.ts";
import { compatibilityOf, layerNamed, layerVersionNamed, refuseSameLayer, versionInUse } from "../validation/layers.ts";
import type { Caller } from "../validation/names.ts";
import { codeOf } from "../validation/settings.ts";

/** What is asked of layers, at epoch ms `at`. */
export interface LayersAsked {
  readonly check: Constraints;
  readonly caller: Caller;
  readonly layers: Bucket;
  readonly code: CodeStore;
  readonly at: number;
}

export async function publishLayerVersion({ check, caller, layers, code, at }: LayersAsked): Promise<object> {
  const layer = layerNamed(check, caller);
  const description = check.text("Description", { max: 256 }) ?? "";
  const license = check.text("LicenseInfo", { max: 512 });
  const { runtimes, architectures } = compatibilityOf(check);
  const content = check.inside("Content");
  if (content === undefined) check.required("Content", undefined, "");
  check.done();
  const { codeSha256, codeSize, unzippedBytes } = await takeIn(code, codeOf(content), lookedThrough);
  const published = await numbered(layers, caller.acct, layer, {
    description,
    createdAt: at,
    sha256: Buffer.from(codeSha256, "base64").toString("hex"),
    zipBytes: codeSize,
    unzippedBytes,
    ...(runtimes === undefined ? {} : { runtimes: [...runtimes] }),
    ...(architectures === undefined ? {} : { architectures: architectures as LayerVersion["architectures"] }),
    ...(license === undefined ? {} : { license }),
  });
  return layerVersionBody(caller, published);
}

/** A version that isn't there is deleted already. Functions that use it go on with its package. */
export async function deleteLayerVersion({ check, caller, layers }: LayersAsked): Promise<object> {
  const { layer, version } = layerVersionNamed(check, caller);
  const { record } = await layerRecord(layers, caller.acct, layer);
  if (!record.versions.includes(version)) return {};
  await changed(layers, caller.acct, layer, (before) => ({
    ...before,
    versions: before.versions.filter((each) => each !== version),
  }));
  await layers.delete(layerVersionKey(caller.acct, layer, version));
  return {};
}

/** What a function's `Layers` are, in their order. Throws `Refused` for what can't be used. */
export async function foundLayers(
  layers: Bucket,
  caller: Caller,
  arns: readonly string[],
): Promise<readonly FoundLayer[]> {
  refuseSameLayer(arns);
  return Promise.all(
    arns.map(async (arn) => {
      const named = versionInUse(arn, caller);
      const found = await publishedVersion(layers, caller.acct, named.layer, named.version);
      if (found === undefined)
        throw new Refused("InvalidParameterValueException", `Layer version ${arn} does not exist.`);
      const { zipBytes: codeSize, sha256, unzippedBytes } = found;
      return { arn, codeSize, sha256, unzippedBytes };
    }),
  );
}

/**
 * Takes the next number, writes the version under it, and lists it: what is listed is there, and no two have one number.
 * A crash in between leaves a number that nobody has.
 */
async function numbered(
  layers: Bucket,
  acct: string,
  layer: string,
  content: Omit<LayerVersion, "acct" | "layer" | "version">,
): Promise<LayerVersion> {
  const { nextVersion: version } = await changed(layers, acct, layer, (record) => ({
    ...record,
    nextVersion: record.nextVersion + 1,
  }));
  const published: LayerVersion = { acct, layer, version, ...content };
  await layers.put(layerVersionKey(acct, layer, version), published);
  await changed(layers, acct, layer, (record) => ({
    ...record,
    versions: [...record.versions, version].sort((a, b) => a - b),
  }));
  return published;
}

/** Writes what `change` makes of the layer's record, again when somebody else wrote in between; gives it as it was before. */
async function changed(
  layers: Bucket,
  acct: string,
  layer: string,
  change: (record: LayerRecord) => LayerRecord,
): Promise<LayerRecord> {
  for (;;) {
    const { record, revision } = await layerRecord(layers, acct, layer);
    try {
      if (revision === undefined) await layers.create(layerKey(acct, layer), change(record));
      else await layers.update(layerKey(acct, layer), change(record), revision);
      return record;
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}
