/** Networks for the sandboxes of one driver's premises; they end before the rest of the premises does. */
import type { Premises } from "../premises.ts";
import type { EgressOptions } from "./network.ts";
import { Networks } from "./networks.ts";

export function openNetworks(
  premises: Premises,
  options: EgressOptions | undefined,
  /** Where the driver has found it already. */
  bwrap?: string,
): { readonly premises: Premises; readonly networks: Networks } {
  const { name, folder, host, uids } = premises;
  const gids = uids && { first: uids.range.first, last: uids.range.first + uids.range.count - 1 };
  const networks = new Networks({ name, folder, bwrap, topLevel: host.topLevel, gids }, options);
  const close = async () => {
    await networks.close().catch(() => {});
    await premises.close();
  };
  return { premises: { ...premises, close }, networks };
}
