/** Waiting until the platform has applied a change: seen in the FUNCTIONS bucket as it is written, not polled. */
import { Kvm } from "@nats-io/kv";
import { Refused } from "../subjects/errors.ts";
import { FunctionRecord, functionKey, shown } from "../subjects/function.ts";
import { FUNCTIONS_BUCKET } from "../subjects/streams.ts";
import type { Configuration } from "./api.ts";
import type { Session } from "./session.ts";

/** The change was accepted and neither succeeded nor failed in time. */
export class StillPending extends Error {
  override readonly name = "StillPending";
}

/**
 * Resolves with the configuration once nothing is pending on the function any more. Throws `Refused` with the
 * platform's reason when the change failed, `StillPending` after `withinMs`.
 */
export async function settled(session: Session, told: Configuration, withinMs: number): Promise<Configuration> {
  if (!isPending(told)) return verdict(told);
  const [, , , , acct = "", , fn = ""] = (told.FunctionArn ?? "").split(":");
  const bucket = await new Kvm(session.connection).open(FUNCTIONS_BUCKET);
  const changes = await bucket.watch({ key: functionKey(acct, fn) });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    changes.stop();
  }, withinMs);
  try {
    for await (const change of changes) {
      if (change.operation !== "PUT") throw new Refused("ResourceNotFoundException", `${fn} was deleted meanwhile`);
      const { configuration } = FunctionRecord.parse(change.json());
      if (!isPending(configuration)) return verdict(shown(configuration));
    }
  } finally {
    clearTimeout(timer);
    changes.stop();
  }
  throw new StillPending(late ? `${fn} is still pending after ${withinMs / 1000} s` : "the connection was closed");
}

const isPending = ({ State, LastUpdateStatus }: Configuration): boolean =>
  State === "Pending" || LastUpdateStatus === "InProgress";

function verdict(configuration: Configuration): Configuration {
  const { State, StateReason, StateReasonCode, LastUpdateStatus } = configuration;
  if (State === "Failed") throw failed(StateReason, StateReasonCode);
  if (LastUpdateStatus === "Failed") {
    throw failed(configuration.LastUpdateStatusReason, configuration.LastUpdateStatusReasonCode);
  }
  return configuration;
}

const failed = (why: string | undefined, code: string | undefined): Refused =>
  new Refused("InvalidParameterValueException", why ?? "the platform could not apply it", code);
