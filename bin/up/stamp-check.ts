/** A server that doesn't stamp the tenant can't carry invokes: found out before anything is started on it. */
import type { Network } from "../../actors/bus/port.ts";
import { Invoke, UserInvoke } from "../../subjects/invoke.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";

const PROBE = "mayfly-stamp-check";
const PATIENCE_MS = 2000;

/** Throws an Error that says what the server lacks. */
export async function refuseUnstamped(network: Network): Promise<void> {
  const heard = Promise.withResolvers<boolean>();
  const stamped = network.subscribe(Invoke.subject({ acct: DEFAULT_ACCOUNT, fn: PROBE }), () => heard.resolve(true));
  const timer = setTimeout(() => heard.resolve(false), PATIENCE_MS);
  network.publish({ subject: UserInvoke.subject({ fn: PROBE }), payload: "{}" });
  const isStamped = await heard.promise;
  clearTimeout(timer);
  await stamped.drain();
  if (isStamped) return;
  throw new Error(
    "this NATS server does not map mayfly.invoke.* to the tenant's subjects; give its account the mappings of config/nats/stamping.ts",
  );
}
