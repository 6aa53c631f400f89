/** A mapping's machine, by itself: every state × everything it may read, and the way through each of its steps. */
import { expect, test } from "vitest";
import { fromCallback, fromPromise } from "xstate";
import { type MappingEvent, mappingMachine, type Prepared } from "../../actors/trigger/machine.ts";
import { MAPPING_STATES, type MappingRecord } from "../../subjects/mapping.ts";
import { restingStates } from "../support/chart.ts";
import { given, type Scene } from "../support/given.ts";
import { mapping } from "../support/trigger.ts";

type State = MappingRecord["state"];
type Step = "prepare" | "rest" | "remove" | "settle";
type Mapped = Scene<typeof mappingMachine, string>;

const record = mapping({ kind: "stream", stream: "ORDERS" }, { uuid: "u1" });
const read = (state: State, revision: number, change: Partial<MappingRecord> = {}): MappingEvent => ({
  type: "record.read",
  record: { ...record, state, ...change },
  revision,
});

/** Steps that succeed or fail at once; the others are under way for ever. */
function mapped(
  state: State,
  steps: Partial<Record<Step, Prepared | "done" | "fails">> = {},
  change: Partial<MappingRecord> = {},
): Mapped {
  const step = (name: Step, note: () => void) => {
    note();
    const end = steps[name];
    if (end === undefined) return new Promise<never>(() => {});
    return end === "fails" ? Promise.reject(new Error(`${name} failed`)) : Promise.resolve(end);
  };
  return given<typeof mappingMachine, string>(
    (note) =>
      mappingMachine.provide({
        actors: {
          prepare: fromPromise(() => step("prepare", () => note("prepare")) as Promise<Prepared>),
          rest: fromPromise(() => step("rest", () => note("rest")) as unknown as Promise<void>),
          remove: fromPromise(() => step("remove", () => note("remove")) as unknown as Promise<void>),
          settle: fromPromise(
            ({ input }) =>
              step("settle", () => note(`settle ${input.state}: ${input.reason}`)) as unknown as Promise<void>,
          ),
          work: fromCallback(() => {
            note("begin");
            return () => note("end");
          }),
        },
        actions: { complain: ({ context }) => note(`complain: ${context.trouble}`) },
      }),
    { record: { ...record, state, ...change }, revision: 1 },
  );
}

/** What was begun and ends at once has ended. */
const settled = async (scene: Mapped): Promise<Mapped> => {
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
  return scene;
};

const READY = { prepare: { ready: true } } as const;
const becoming = (state: State) => ({
  [`${state}.preparing`]: async () => mapped(state),
  [`${state}.settling`]: () => settled(mapped(state, READY)),
  [`${state}.refusing`]: () => settled(mapped(state, { prepare: { ready: false, why: "no" } })),
  [`${state}.failing`]: () => settled(mapped(state, { prepare: "fails" })),
});
const lost = { type: "work.lost", why: "gone" } as const;
const reach: Readonly<Record<string, () => Promise<Mapped>>> = {
  ...becoming("Creating"),
  ...becoming("Enabling"),
  ...becoming("Updating"),
  "Enabled.working": async () => mapped("Enabled"),
  "Enabled.stumbling": async () => mapped("Enabled").when(lost),
  "Enabled.preparing": async () => mapped("Enabled").when(lost).after(2000),
  "Disabling.resting": async () => mapped("Disabling"),
  "Disabling.settling": () => settled(mapped("Disabling", { rest: "done" })),
  "Disabling.failing": () => settled(mapped("Disabling", { rest: "fails" })),
  Disabled: async () => mapped("Disabled"),
  "Deleting.removing": async () => mapped("Deleting"),
  "Deleting.failing": () => settled(mapped("Deleting", { remove: "fails" })),
};

const FIRST: Readonly<Record<State, string>> = {
  Creating: "Creating.preparing",
  Enabling: "Enabling.preparing",
  Updating: "Updating.preparing",
  Enabled: "Enabled.working",
  Disabling: "Disabling.resting",
  Disabled: "Disabled",
  Deleting: "Deleting.removing",
};

test("every state of the definition is reached", async () => {
  expect(Object.keys(reach).sort()).toEqual(restingStates(mappingMachine).sort());
  for (const [state, scene] of Object.entries(reach)) expect((await scene()).state).toBe(state);
});

test.each(Object.keys(reach))(
  "in %s whatever the record wishes is begun, unless it is being deleted",
  async (state) => {
    for (const wish of MAPPING_STATES) {
      const scene = (await reach[state]!()).when(read(wish, 2, { batchSize: 7 }));
      expect(scene.state, wish).toBe(state.startsWith("Deleting") ? state : FIRST[wish]);
    }
  },
);

test.each(Object.keys(reach))("in %s a record that is gone, and a process that stops, end it", async (state) => {
  const gone = (await reach[state]!()).when({ type: "record.gone" });
  expect(gone.state).toBe(state.startsWith("Deleting") ? state : "Deleting.removing");
  const left = (await reach[state]!()).when({ type: "trigger.stopping" });
  expect([left.state, left.isOver]).toEqual(["left", true]);
});

test.each(Object.keys(reach))(
  "in %s an old reading, and one that brings nothing new, change nothing",
  async (state) => {
    const scene = await reach[state]!();
    const own = state.split(".")[0] as State;
    expect(scene.when(read("Disabled", 1), read("Updating", 0)).state).toBe(state);
    expect(scene.when(read(own, 2, { lastProcessingResult: "OK", modifiedAt: 9 })).state).toBe(state);
  },
);

test("what is ready is written as its owner wants it", async () => {
  const enabled = await settled(mapped("Creating", READY));
  expect(enabled.told).toEqual(["prepare", "settle Enabled: User action"]);
  const disabled = await settled(mapped("Updating", READY, { enabled: false }));
  expect(disabled.told).toEqual(["prepare", "settle Disabled: User action"]);
});

test("what nobody may have is written as disabled, with the reason", async () => {
  const scene = mapped("Creating", { prepare: { ready: false, why: "no source of yours" } });
  expect((await settled(scene)).told).toContain("settle Disabled: no source of yours");
});

test("a step that fails is told and tried again", async () => {
  const scene = await settled(mapped("Enabling", { prepare: "fails" }));
  expect(scene.state).toBe("Enabling.failing");
  expect(scene.after(2000).state).toBe("Enabling.preparing");
});

test("work that is lost is begun again once the source is ready", async () => {
  const scene = mapped("Enabled", READY).when(lost);
  expect(scene.told).toEqual(["complain: gone", "end"]);
  scene.after(2000);
  await settled(scene);
  expect(scene.state).toBe("Enabled.working");
});

test("a mapping is gone when what it had is removed", async () => {
  expect((await settled(mapped("Deleting", { remove: "done" }))).state).toBe("gone");
});
