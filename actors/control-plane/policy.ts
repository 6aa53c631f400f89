/**
 * What a function's state allows, and what a command makes of its record: pure, values in and a decision out.
 *
 * `ADMISSION` is the whole matrix: in every state of life each command is admitted or refused by name, so that nothing is
 * dropped. Rows are what is asked, columns are states. Source: Lambda API reference and recorded answers of Lambda
 */
import type { Refusal } from "../../subjects/errors.ts";
import type { FunctionRecord } from "../../subjects/function.ts";
import { LATEST } from "../../subjects/tokens.ts";
import { type Command, type CommandType, type Decision, type Findings, type LifeState, lifeOf } from "./commands.ts";
import { decideCreateAlias, decideDeleteAlias, decideUpdateAlias } from "./operations/aliases.ts";
import { decideDeleteConcurrency, decidePutConcurrency } from "./operations/concurrency.ts";
import { decideCreateFunction } from "./operations/create-function.ts";
import { decideDeleteFunction, decideDeleteVersion } from "./operations/delete-function.ts";
import { decidePutEgress } from "./operations/egress.ts";
import { decideDeleteEventInvoke, decidePutEventInvoke, noFunction } from "./operations/event-invoke.ts";
import { decidePublishVersion } from "./operations/publish-version.ts";
import { decidePutQueue } from "./operations/queue.ts";
import { decideRefused, decideVerified } from "./operations/settle-package.ts";
import { decideTag, decideUntag } from "./operations/tags.ts";
import { decideUpdateCode, decideUpdateConfiguration } from "./operations/update-function.ts";
import { functionExists, functionNotFound, inState, updateInProgress } from "./refusals.ts";

/** `yes`: the command's own file decides. `moot`: a fact about something that is no more; it changes nothing. */
type Admission = "yes" | "moot" | ((command: Command) => Refusal);

const missing = ({ arn }: Command): Refusal => functionNotFound(arn);
const missingLatest = ({ arn }: Command): Refusal => functionNotFound(`${arn}:${LATEST}`);
const exists = ({ fn }: Command): Refusal => functionExists(fn);
const beingUpdated = ({ arn }: Command): Refusal => updateInProgress(arn);
const isPending = (): Refusal => inState("Pending");
const isFailed = (): Refusal => inState("Failed");
const isBeingDeleted = (): Refusal => inState("Deleting");

type Row = Readonly<Record<LifeState, Admission>>;

/** Allowed whenever the function is there. */
const whileItExists: Row = {
  absent: missing,
  pending: "yes",
  active: "yes",
  updating: "yes",
  failed: "yes",
  deleting: missing,
};
/** Changes of what runs: one at a time, and the first one is the creation. */
const whenAtRest: Row = { ...whileItExists, pending: isPending, updating: beingUpdated };
const ofConcurrency: Row = { ...whileItExists, absent: missingLatest, deleting: missingLatest };
const ofEventInvoke: Row = { ...whileItExists, absent: noFunction, deleting: noFunction };
const ofPackage: Row = {
  absent: "moot",
  pending: "yes",
  active: "moot",
  updating: "yes",
  failed: "moot",
  deleting: "moot",
};

export const ADMISSION: Readonly<Record<CommandType, Row>> = {
  "function.create": {
    absent: "yes",
    pending: exists,
    active: exists,
    updating: exists,
    failed: exists,
    deleting: isBeingDeleted,
  },
  "function.update-code": whenAtRest,
  "function.update-configuration": whenAtRest,
  "function.publish": { ...whenAtRest, failed: isFailed },
  "function.delete": whileItExists,
  "function.resume": {
    absent: "moot",
    pending: "moot",
    active: "moot",
    updating: "moot",
    failed: "moot",
    deleting: "moot",
  },
  "version.delete": whileItExists,
  "alias.create": whileItExists,
  "alias.update": whileItExists,
  "alias.delete": whileItExists,
  "concurrency.put": ofConcurrency,
  "concurrency.delete": ofConcurrency,
  "event-invoke.put": ofEventInvoke,
  "event-invoke.update": ofEventInvoke,
  "event-invoke.delete": ofEventInvoke,
  "queue.put": whileItExists,
  "egress.put": whileItExists,
  "tags.add": { ...whileItExists, updating: beingUpdated },
  "tags.remove": whileItExists,
  "package.verified": ofPackage,
  "package.refused": ofPackage,
};

const NOTHING: Decision = { kind: "answer", body: {} };

export function decide(record: FunctionRecord | undefined, command: Command, findings: Findings = {}): Decision {
  const admission = ADMISSION[command.type][lifeOf(record)];
  if (admission === "moot") return NOTHING;
  if (admission !== "yes") return { kind: "refuse", refusal: admission(command) };
  if (command.type === "function.create") return decideCreateFunction(command, findings);
  return record === undefined ? { kind: "refuse", refusal: missing(command) } : change(record, command, findings);
}

function change(
  record: FunctionRecord,
  command: Exclude<Command, { type: "function.create" }>,
  findings: Findings,
): Decision {
  switch (command.type) {
    case "function.update-code":
      return decideUpdateCode(record, command, findings);
    case "function.update-configuration":
      return decideUpdateConfiguration(record, command, findings);
    case "function.publish":
      return decidePublishVersion(record, command);
    case "function.delete":
      return decideDeleteFunction(record, command);
    case "function.resume":
      return NOTHING;
    case "version.delete":
      return decideDeleteVersion(record, command);
    case "alias.create":
      return decideCreateAlias(record, command);
    case "alias.update":
      return decideUpdateAlias(record, command);
    case "alias.delete":
      return decideDeleteAlias(record, command);
    case "concurrency.put":
      return decidePutConcurrency(record, command, findings);
    case "concurrency.delete":
      return decideDeleteConcurrency(record);
    case "event-invoke.put":
    case "event-invoke.update":
      return decidePutEventInvoke(record, command);
    case "event-invoke.delete":
      return decideDeleteEventInvoke(record, command);
    case "queue.put":
      return decidePutQueue(record, command);
    case "egress.put":
      return decidePutEgress(record, command);
    case "tags.add":
      return decideTag(record, command);
    case "tags.remove":
      return decideUntag(record, command);
    case "package.verified":
      return decideVerified(record, command);
    case "package.refused":
      return decideRefused(record, command);
    default:
      return command satisfies never;
  }
}
