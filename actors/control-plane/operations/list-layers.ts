/**
 * GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions: layers as the API shows them, straight from the
 * bucket. Source: Lambda API reference and recorded answers of Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import type { LayerVersion } from "../../../subjects/layer.ts";
import {
  layerRecord,
  layerRecords,
  layerVersionBody,
  layerVersionItem,
  publishedVersion,
  versionsOf,
} from "../layer.ts";
import {
  compatibleWith,
  type LayerVersionNamed,
  layerArn,
  layerNamed,
  layerVersionByArn,
  layerVersionNamed,
} from "../validation/layers.ts";
import type { LayersAsked } from "./layers.ts";
import { cut, pageAsked } from "./list-functions.ts";

const MAX_ITEMS = 50;

export const getLayerVersion = (asked: LayersAsked): Promise<object> =>
  found(asked, layerVersionNamed(asked.check, asked.caller));

export const getLayerVersionByArn = (asked: LayersAsked): Promise<object> =>
  found(asked, layerVersionByArn(asked.check, asked.caller));

/** Each layer that has a version which matches, with the newest of those. */
export async function listLayers({ check, caller, layers }: LayersAsked): Promise<object> {
  const isMatch = matching(compatibleWith(check));
  const page = pageAsked(check, MAX_ITEMS);
  check.done();
  const records = await layerRecords(layers, caller.acct);
  const latest = await Promise.all(
    records.map(async (record) => (await versionsOf(layers, record)).filter(isMatch).at(-1)),
  );
  const { items, next } = cut(
    latest.filter((each) => each !== undefined),
    page,
    ({ layer }) => layer,
  );
  return {
    Layers: items.map((each) => ({
      LayerName: each.layer,
      LayerArn: layerArn(caller, each.layer),
      LatestMatchingVersion: layerVersionItem(caller, each),
    })),
    ...next,
  };
}

/** Newest first. A layer that isn't there has none. */
export async function listLayerVersions({ check, caller, layers }: LayersAsked): Promise<object> {
  const layer = layerNamed(check, caller);
  const isMatch = matching(compatibleWith(check));
  const page = pageAsked(check, MAX_ITEMS);
  check.done();
  const { record } = await layerRecord(layers, caller.acct, layer);
  const versions = await versionsOf(layers, record);
  const place = ({ version }: LayerVersion) => String(Number.MAX_SAFE_INTEGER - version).padStart(16, "0");
  const { items, next } = cut(versions.filter(isMatch).reverse(), page, place);
  return { LayerVersions: items.map((each) => layerVersionItem(caller, each)), ...next };
}

async function found({ caller, layers }: LayersAsked, { layer, version }: LayerVersionNamed): Promise<object> {
  const published = await publishedVersion(layers, caller.acct, layer, version);
  if (published === undefined)
    throw new Refused("ResourceNotFoundException", "The resource you requested does not exist.");
  return layerVersionBody(caller, published);
}

const matching =
  ({ runtime, architecture }: ReturnType<typeof compatibleWith>) =>
  ({ runtimes = [], architectures = [] }: LayerVersion): boolean =>
    (runtime === undefined || runtimes.includes(runtime)) &&
    (architecture === undefined || architectures.some((each) => each === architecture));
