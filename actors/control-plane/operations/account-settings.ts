/** GetAccountSettings: what the account may have and what it has. Source: Lambda API reference and recorded answers of Lambda */
import { MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES } from "../../../subjects/code-package.ts";
import { FunctionConfiguration, versionKey } from "../../../subjects/function.ts";
import { functionsOf, readAll, reservedBy } from "../account.ts";
import { layerRecords, versionsOf } from "../layer.ts";
import type { Reading } from "./get-function.ts";

/** Lambda's 75 GB a region. */
const TOTAL_CODE_BYTES = 80_530_636_800;

export async function getAccountSettings(
  { caller, functions, layers }: Reading,
  { concurrencyLimit }: { readonly concurrencyLimit: number },
): Promise<object> {
  const records = await functionsOf(functions, caller.acct);
  const keys = records.flatMap(({ acct, fn, versions }) => versions.map((version) => versionKey(acct, fn, version)));
  const versions = await readAll(functions, keys, (value) => FunctionConfiguration.parse(value));
  const layersHere = await layerRecords(layers, caller.acct);
  const layerVersions = (await Promise.all(layersHere.map((record) => versionsOf(layers, record)))).flat();
  const packages = [...records.map((record) => record.configuration), ...versions];
  return {
    AccountLimit: {
      TotalCodeSize: TOTAL_CODE_BYTES,
      CodeSizeUnzipped: MAX_UNZIPPED_BYTES,
      CodeSizeZipped: MAX_ZIPPED_BYTES,
      ConcurrentExecutions: concurrencyLimit,
      UnreservedConcurrentExecutions: Math.max(0, concurrencyLimit - reservedBy(records)),
    },
    AccountUsage: {
      TotalCodeSize:
        packages.reduce((sum, { CodeSize }) => sum + CodeSize, 0) +
        layerVersions.reduce((sum, { zipBytes }) => sum + zipBytes, 0),
      FunctionCount: records.length,
    },
  };
}
