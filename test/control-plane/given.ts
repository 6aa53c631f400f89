/** Records and commands for the pure tests, with ids that tell themselves apart. */
import type { Command, CommandType, LifeState, Wish } from "../../actors/control-plane/commands.ts";
import { decide } from "../../actors/control-plane/policy.ts";
import type { FunctionRecord } from "../../subjects/function.ts";

const ACCT = "000000000000";
const ARN = `arn:aws:lambda:us-east-1:${ACCT}:function:f`;
export const PACKAGE = { codeSha256: Buffer.alloc(32, 1).toString("base64"), codeSize: 100, unzippedBytes: 1000 };
export const OTHER_PACKAGE = { codeSha256: Buffer.alloc(32, 2).toString("base64"), codeSize: 200, unzippedBytes: 2000 };

let made = 0;
export const freshId = (): string => `00000000-0000-4000-8000-${String(++made).padStart(12, "0")}`;

/** A command with its envelope; somebody waits for the answer. */
export const command = <T extends CommandType>(wish: Wish<T>): Command<T> =>
  ({
    acct: ACCT,
    arn: ARN,
    to: "_INBOX.caller",
    at: Date.UTC(2025, 10, 24),
    revisionIds: { latest: freshId(), other: freshId() },
    ...wish,
  }) as unknown as Command<T>;

const settings = { Runtime: "nodejs22.x", Role: "arn:aws:iam::000000000000:role/r", Handler: "index.handler" };
const code = { zipBase64: "UEs=" };

/** One of each command; those about a package are about what the record is at. */
export const commandOf = (type: CommandType, revisionId = ""): Command => command(WISHES[type](revisionId));

const fn = "f";
const change = { MaximumRetryAttempts: 1 };
const handling = { fn, qualifier: "$LATEST", change, destinations: [] };
const WISHES: { readonly [T in CommandType]: (revisionId: string) => Wish<T> } = {
  "function.create": () => ({
    type: "function.create",
    fn,
    settings,
    architecture: "x86_64",
    code,
    tags: {},
    publish: false,
  }),
  "function.update-code": () => ({
    type: "function.update-code",
    fn,
    code,
    architecture: undefined,
    publish: false,
    dryRun: false,
    revisionId: undefined,
  }),
  "function.update-configuration": () => ({
    type: "function.update-configuration",
    fn,
    settings: { Timeout: 9 },
    revisionId: undefined,
  }),
  "function.publish": () => ({
    type: "function.publish",
    fn,
    description: undefined,
    codeSha256: undefined,
    revisionId: undefined,
  }),
  "function.delete": () => ({ type: "function.delete", fn }),
  "function.resume": () => ({ type: "function.resume", fn }),
  "version.delete": () => ({ type: "version.delete", fn, version: "1" }),
  "alias.create": () => ({ type: "alias.create", fn, alias: "new", version: "$LATEST", description: "" }),
  "alias.update": () => ({
    type: "alias.update",
    fn,
    alias: "live",
    version: undefined,
    description: "changed",
    revisionId: undefined,
  }),
  "alias.delete": () => ({ type: "alias.delete", fn, alias: "live" }),
  "concurrency.put": () => ({ type: "concurrency.put", fn, reserved: 1 }),
  "concurrency.delete": () => ({ type: "concurrency.delete", fn }),
  "event-invoke.put": () => ({ type: "event-invoke.put", ...handling }),
  "event-invoke.update": () => ({ type: "event-invoke.update", ...handling }),
  "event-invoke.delete": () => ({ type: "event-invoke.delete", fn, qualifier: "$LATEST" }),
  "queue.put": () => ({ type: "queue.put", fn, concurrency: undefined, paused: true }),
  "egress.put": () => ({ type: "egress.put", fn, allow: ["internet"] }),
  "tags.add": () => ({ type: "tags.add", fn, tags: { a: "b" } }),
  "tags.remove": () => ({ type: "tags.remove", fn, keys: ["a"] }),
  "package.verified": (revisionId) => ({ type: "package.verified", fn, revisionId }),
  "package.refused": (revisionId) => ({
    type: "package.refused",
    fn,
    revisionId,
    code: "InvalidZipFileException",
    reason: "it is no zip",
  }),
};

export const COMMANDS = Object.keys(WISHES) as CommandType[];

/** The record a command leaves, which must be one that is written. */
export function recordAfter(record: FunctionRecord | undefined, next: Command): FunctionRecord {
  const findings = { package: PACKAGE, concurrency: { limit: 1000, reservedElsewhere: 0, floor: 100 } };
  const decision = decide(record, next, findings);
  if (decision.kind !== "write") throw new Error(`${next.type} does not write: ${JSON.stringify(decision)}`);
  return decision.record;
}

export const fact = (type: "package.verified" | "package.refused", record: FunctionRecord): Command =>
  commandOf(type, record.configuration.RevisionId);

/** A record in each state of life, reached by commands only; the active one has an alias, `live`, and a reservation. */
export function recordIn(life: LifeState): FunctionRecord | undefined {
  if (life === "absent") return undefined;
  const pending = recordAfter(undefined, commandOf("function.create"));
  if (life === "pending") return pending;
  if (life === "failed") return recordAfter(pending, fact("package.refused", pending));
  const alias = { type: "alias.create", fn, alias: "live", version: "$LATEST", description: "" } as const;
  const active = recordAfter(
    recordAfter(recordAfter(pending, fact("package.verified", pending)), command(alias)),
    commandOf("concurrency.put"),
  );
  if (life === "active") return active;
  return recordAfter(active, commandOf(life === "updating" ? "function.update-configuration" : "function.delete"));
}

export const LIVES: readonly LifeState[] = ["absent", "pending", "active", "updating", "failed", "deleting"];
