/**
 * What the control plane does in the world: it keeps commands in the bucket by compare-and-set, looks at packages, and
 * removes what is left of deleted functions. Deciding is the policy's; this file only asks it with the record as it is.
 */
import type { Logger } from "pino";
import { fromCallback, fromPromise } from "xstate";
import { Refused } from "../../subjects/errors.ts";
import { FunctionRecord, functionKey, versionKey } from "../../subjects/function.ts";
import type { InForce } from "../bus/in-force.ts";
import type { Clock } from "../bus/port.ts";
import { Conflict, type Entry, type Storage } from "../bus/storage.ts";
import { type AccountOptions, functionsOf, reservedBy } from "./account.ts";
import { type Command, type Findings, lifeOf, type Outcome } from "./commands.ts";
import { refuseDangling } from "./dangling.ts";
import { type CommandKept, type FunctionInput, functionMachine, lost, type PackageFact } from "./machine.ts";
import { unreservedFloor } from "./operations/concurrency.ts";
import { foundLayers } from "./operations/layers.ts";
import { takeIn } from "./package/intake.ts";
import { verdictOf } from "./package/verify.ts";
import { ADMISSION, decide } from "./policy.ts";
import { invalidTarget } from "./validation/destinations.ts";

export interface Surroundings {
  readonly storage: Storage;
  readonly account: AccountOptions;
  readonly clock: Clock;
  /** A fresh uuid each time. */
  readonly ids: () => string;
  readonly log: Logger;
  readonly inForce: InForce;
  /** How long somebody else's unfinished work is left to them. */
  readonly patienceMs: number;
}

/** The machine with its effects, and a promise of having done all that was begun. */
export function functionLogic({ storage, account, clock, ids, log, inForce, patienceMs }: Surroundings) {
  const doing = new Set<Promise<unknown>>();
  const reservations = new Map<string, Promise<unknown>>();

  /** Reservations of one account are checked one after the other: each counts what the ones before it took. */
  function inTurn(command: Command, work: () => Promise<Outcome>): Promise<Outcome> {
    if (command.type !== "concurrency.put") return work();
    const done = (reservations.get(command.acct) ?? Promise.resolve()).then(work);
    reservations.set(
      command.acct,
      done.catch(() => {}),
    );
    return done;
  }

  const logic = functionMachine.provide({
    actors: {
      keep: fromCallback(({ input: { command }, sendBack }) => {
        const kept = inTurn(command, () => keep({ storage, account, inForce }, command))
          .catch((error: unknown) => {
            log.error({ err: error, command: command.type, fn: command.fn }, "could not keep a command");
            return lost(error);
          })
          .then((outcome) => sendBack({ type: "command.kept", outcome } satisfies CommandKept));
        doing.add(kept);
        void kept.finally(() => doing.delete(kept));
      }),
      verify: fromPromise(async ({ input: { record } }): Promise<PackageFact> => {
        if (record === undefined) throw new Error("nothing to look at");
        const { acct, fn, configuration } = record;
        const verdict = await verdictOf(storage.code, record).catch((error: unknown) => {
          log.error({ err: error, fn }, "could not look at a package; it is tried again");
          throw error;
        });
        const fact = {
          acct,
          fn,
          arn: configuration.FunctionArn,
          to: undefined,
          at: clock.now(),
          revisionIds: { latest: ids(), other: ids() },
          revisionId: configuration.RevisionId,
        };
        return verdict === undefined
          ? { ...fact, type: "package.verified" }
          : { ...fact, type: "package.refused", ...verdict };
      }),
      erase: fromPromise(({ input }) =>
        erase(storage, input).catch((error: unknown) => {
          log.error({ err: error, fn: input.fn }, "could not remove a deleted function; it is tried again");
          throw error;
        }),
      ),
    },
    delays: { overheard: ({ event }) => (event.type === "record.overheard" && event.atOnce ? 0 : patienceMs) },
  });
  const idle = async () => {
    while (doing.size > 0) await Promise.all(doing);
  };
  return { logic, idle };
}

/**
 * Reads, decides, writes; when somebody else wrote in between, all over again. Whoever is answered finds in force what was
 * written.
 */
async function keep(
  { storage, account, inForce }: Pick<Surroundings, "storage" | "account" | "inForce">,
  command: Command,
): Promise<Outcome> {
  const { functions } = storage;
  const { acct, fn } = command;
  let findings: Findings | undefined;
  for (let skipped = 0; ; ) {
    const entry = await functions.get(functionKey(acct, fn));
    const record = recordIn(entry);
    try {
      if (ADMISSION[command.type][lifeOf(record)] === "yes") findings ??= await findingsFor(storage, account, command);
    } catch (error) {
      if (error instanceof Refused) return { kind: "refused", refusal: error.refusal, record };
      throw error;
    }
    // A number whose entry exists was given to a version whose record was never written: it stays unused.
    const asIs = record === undefined ? undefined : { ...record, nextVersion: record.nextVersion + skipped };
    const decision = decide(asIs, command, findings);
    if (decision.kind === "refuse") return { kind: "refused", refusal: decision.refusal, record };
    if (decision.kind === "answer") return { kind: "answered", body: decision.body, record };
    const { version, dropVersion, body } = decision;
    if (version !== undefined) {
      const key = versionKey(acct, fn, version.configuration.Version);
      try {
        if (version.how === "create") await functions.create(key, version.configuration);
        else await functions.put(key, version.configuration);
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        skipped += 1;
        continue;
      }
    }
    try {
      const key = functionKey(acct, fn);
      const revision = await (entry === undefined
        ? functions.create(key, decision.record)
        : functions.update(key, decision.record, entry.revision));
      if (command.to !== undefined) await inForce(revision);
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      continue;
    }
    if (dropVersion !== undefined) await functions.delete(versionKey(acct, fn, dropVersion));
    return { kind: "written", body, record: decision.record };
  }
}

const recordIn = (entry: Entry | undefined): FunctionRecord | undefined =>
  entry === undefined ? undefined : FunctionRecord.parse(entry.value);

/** What this command needs to know of the world beside the record. Throws `Refused` for what isn't there. */
async function findingsFor(storage: Storage, account: AccountOptions, command: Command): Promise<Findings> {
  switch (command.type) {
    case "function.create":
      await refuseDangling(storage, command.acct, [command.settings.DeadLetterConfig?.TargetArn], invalidTarget);
      return {
        layers: await foundLayers(
          storage.layers,
          { acct: command.acct, region: account.region },
          command.settings.Layers ?? [],
        ),
        package: await takeIn(storage.code, command.code),
      };
    case "function.update-code":
      return { package: await takeIn(storage.code, command.code) };
    case "function.update-configuration": {
      const { Layers, DeadLetterConfig } = command.settings;
      await refuseDangling(storage, command.acct, [DeadLetterConfig?.TargetArn], invalidTarget);
      if (Layers === undefined) return {};
      return { layers: await foundLayers(storage.layers, { acct: command.acct, region: account.region }, Layers) };
    }
    case "concurrency.put": {
      const limit = account.concurrencyLimit;
      const reservedElsewhere = reservedBy(await functionsOf(storage.functions, command.acct), command.fn);
      return { concurrency: { limit, reservedElsewhere, floor: unreservedFloor(limit) } };
    }
    case "event-invoke.put":
    case "event-invoke.update":
      await refuseDangling(storage, command.acct, command.destinations);
      return {};
    default:
      return {};
  }
}

/**
 * Versions first, the record last: as long as the record is there, somebody finishes this. Each key is deleted only as it
 * was read, so that a latecomer can't take anything from a function made anew under the same name.
 */
async function erase({ functions }: Storage, { acct, fn }: FunctionInput): Promise<void> {
  try {
    const entry = await functions.get(functionKey(acct, fn));
    if (entry === undefined || lifeOf(recordIn(entry)) !== "deleting") return;
    const keys = await functions.keys(`${functionKey(acct, fn)}.*`);
    const versions = await Promise.all(keys.map((key) => functions.get(key)));
    for (const version of versions) if (version !== undefined) await functions.delete(version.key, version.revision);
    await functions.delete(entry.key, entry.revision);
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
  }
}
