/** What each state allows, and what a command makes of a record: pure, so every cell is tried. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Command, type CommandType, type LifeState, lifeOf } from "../../actors/control-plane/commands.ts";
import { decide } from "../../actors/control-plane/policy.ts";
import type { FunctionRecord } from "../../subjects/function.ts";
import {
  COMMANDS,
  command,
  commandOf,
  fact,
  freshId,
  LIVES,
  OTHER_PACKAGE,
  PACKAGE,
  recordAfter,
  recordIn,
} from "./given.ts";

const FINDINGS = { package: PACKAGE, concurrency: { limit: 1000, reservedElsewhere: 0, floor: 100 } };

/** What comes of the command: `writes`, `answers` as it is, `nothing` for a fact that is moot, or the refusal's name. */
function outcome(life: LifeState, type: CommandType): string {
  const record = recordIn(life);
  const decision = decide(record, commandOf(type, record?.configuration.RevisionId), FINDINGS);
  if (decision.kind === "refuse") return decision.refusal.name;
  if (decision.kind === "write") return "writes";
  return Object.keys(decision.body).length === 0 ? "nothing" : "answers";
}

const GONE = "ResourceNotFoundException";
const CONFLICT = "ResourceConflictException";
const changes = {
  absent: GONE,
  pending: CONFLICT,
  active: "writes",
  updating: CONFLICT,
  failed: "writes",
  deleting: GONE,
};
const always = {
  absent: GONE,
  pending: "writes",
  active: "writes",
  updating: "writes",
  failed: "writes",
  deleting: GONE,
};
const ifThere = { ...always, pending: "nothing", failed: "nothing" };
const moot = {
  absent: "nothing",
  pending: "nothing",
  active: "nothing",
  updating: "nothing",
  failed: "nothing",
  deleting: "nothing",
};

/** None of these records has settings for its events. */
const missing = { ...always, pending: GONE, active: GONE, updating: GONE, failed: GONE };

const MATRIX: Record<CommandType, Record<LifeState, string>> = {
  "function.create": {
    absent: "writes",
    pending: CONFLICT,
    active: CONFLICT,
    updating: CONFLICT,
    failed: CONFLICT,
    deleting: CONFLICT,
  },
  "function.update-code": changes,
  "function.update-configuration": changes,
  "function.publish": { ...changes, failed: CONFLICT },
  "function.delete": always,
  "function.resume": moot,
  // There is no version 1 in these records, and deleting what isn't there is done already.
  "version.delete": { ...moot, absent: GONE, deleting: GONE },
  "alias.create": always,
  "alias.update": { ...always, pending: GONE, failed: GONE },
  "alias.delete": ifThere,
  "concurrency.put": always,
  "concurrency.delete": ifThere,
  "event-invoke.put": always,
  "event-invoke.update": missing,
  "event-invoke.delete": missing,
  "queue.put": always,
  "egress.put": always,
  "tags.add": { ...always, updating: CONFLICT },
  "tags.remove": always,
  "package.verified": { ...moot, pending: "writes", updating: "writes" },
  "package.refused": { ...moot, pending: "writes", updating: "writes" },
};

describe("in every state every command is a change or a named refusal", () => {
  it.each(COMMANDS.flatMap((type) => LIVES.map((life) => [type, life, MATRIX[type][life]] as const)))(
    "%s, %s: %s",
    (type, life, expected) => expect(outcome(life, type)).toBe(expected),
  );
});

const told = (life: LifeState, type: CommandType) => {
  const decision = decide(recordIn(life), commandOf(type), FINDINGS);
  return decision.kind === "refuse" ? decision.refusal.message : decision.kind;
};

describe("refusals say what Lambda says", () => {
  it("while Pending", () => {
    expect(told("pending", "function.update-code")).toBe(
      "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    );
  });
  it("while an update is in progress", () => {
    expect(told("updating", "tags.add")).toBe(
      "The operation cannot be performed at this time. An update is in progress for resource: arn:aws:lambda:us-east-1:000000000000:function:f",
    );
  });
  it("about concurrency, with the qualifier", () => {
    expect(told("absent", "concurrency.put")).toMatch(/^Function not found: .*:f:\$LATEST$/);
  });
});

describe("settling", () => {
  const updating = recordIn("updating") as FunctionRecord;

  it("keeps serving the old configuration while an update is looked at, and the new one afterwards", () => {
    expect(updating.configuration.Timeout).toBe(9);
    expect(updating.serving?.Timeout).toBe(3);
    expect(recordAfter(updating, fact("package.verified", updating)).serving?.Timeout).toBe(9);
  });

  it("goes back to what served when an update fails", () => {
    const failed = recordAfter(updating, fact("package.refused", updating));
    expect(failed.configuration).toMatchObject({
      Timeout: 3,
      State: "Active",
      LastUpdateStatus: "Failed",
      LastUpdateStatusReason: "it is no zip",
      LastUpdateStatusReasonCode: "InvalidZipFileException",
    });
    expect(failed.serving).toEqual(updating.serving);
  });

  it("ignores what is found out about a revision that is no more", () => {
    expect(decide(updating, commandOf("package.verified", "an-older-one"), FINDINGS)).toEqual({
      kind: "answer",
      body: {},
    });
  });

  it("makes a failed function Active once it is updated with a package that is good", () => {
    const failed = recordIn("failed");
    const update = recordAfter(failed, commandOf("function.update-code"));
    expect(update.configuration).toMatchObject({ State: "Failed", LastUpdateStatus: "InProgress" });
    const healed = recordAfter(update, fact("package.verified", update));
    expect(healed.configuration).toMatchObject({ State: "Active", LastUpdateStatus: "Successful" });
    expect(healed.configuration).not.toHaveProperty("StateReason");
  });
});

describe("reserving concurrency", () => {
  const reserve = (reserved: number, limit: number, reservedElsewhere: number, floor: number) =>
    decide(recordIn("active"), command({ type: "concurrency.put", fn: "f", reserved }), {
      concurrency: { limit, reservedElsewhere, floor },
    });

  it("leaves the account its unreserved floor", () => {
    expect(reserve(800, 1000, 100, 100).kind).toBe("write");
    expect(reserve(801, 1000, 100, 100)).toMatchObject({
      kind: "refuse",
      refusal: {
        message:
          "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].",
      },
    });
  });
});

/** Any command, as callers and effects may come up with it at any time. */
const anyCommand = fc.constantFrom(...COMMANDS).map((type) => (record: FunctionRecord | undefined): Command => {
  const made = commandOf(type, record?.configuration.RevisionId);
  return { ...made, revisionIds: { latest: freshId(), other: freshId() } };
});

describe("whatever is asked, in whatever order", () => {
  it("a version's number is never given twice, and what serves changes only when a package was verified", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 40 }), fc.boolean(), (asked, otherPackage) => {
        let record: FunctionRecord | undefined;
        const given: string[] = [];
        for (const [at, make] of asked.entries()) {
          const next = make(record);
          const found = { ...FINDINGS, package: otherPackage && at % 2 === 0 ? OTHER_PACKAGE : PACKAGE };
          const decision = decide(record, next, found);
          if (decision.kind !== "write") continue;
          const before = record;
          record = decision.record;
          if (decision.version?.how === "create") {
            expect(given).not.toContain(decision.version.configuration.Version);
            given.push(decision.version.configuration.Version);
          }
          if (next.type !== "package.verified" && lifeOf(record) !== "deleting")
            expect(record.serving).toEqual(before?.serving);
          const { configuration } = record;
          const wasChanged = JSON.stringify(configuration) !== JSON.stringify(before?.configuration);
          if (wasChanged) expect(configuration.RevisionId).not.toBe(before?.configuration.RevisionId);
          if (lifeOf(record) === "active") expect(record.serving).toBeDefined();
        }
      }),
      { numRuns: 300 },
    );
  });
});
