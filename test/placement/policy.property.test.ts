import fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, chooseWorker, leaseLengthMs, whyNone } from "../../actors/placement/policy.ts";

const mib = fc.nat(1024);
const candidates = fc
  .array(
    fc.record({
      zone: fc.constantFrom("a", "b", "c"),
      lease: fc.constantFrom("offered" as const, "leasing" as const, "leased" as const, "draining" as const),
      health: fc.constantFrom("well" as const, "suspect" as const),
      runtimes: fc.subarray(["nodejs24.x", "python3.13"]),
      architecture: fc.constantFrom("x86_64" as const, "arm64" as const),
      capacityMiB: fc.integer({ min: 512, max: 4096 }),
      busyMiB: mib,
      idleMiB: mib,
      promisedMiB: mib,
    }),
    { maxLength: 8 },
  )
  .map((all): Candidate[] => all.map((each, at) => ({ ...each, workerId: `w${at}` })));
const request = fc.record({
  memoryMiB: fc.integer({ min: 1, max: 2048 }),
  runtime: fc.constantFrom("nodejs24.x", "python3.13"),
  architecture: fc.constantFrom("x86_64" as const, "arm64" as const),
  avoid: fc.subarray(["w0", "w1", "w2"]),
});

const freeMiB = (each: Candidate) => each.capacityMiB - each.busyMiB - each.promisedMiB - each.idleMiB;

test("the chosen worker can take it: well, not leaving, not avoided, with the runtime and with room", () => {
  fc.assert(
    fc.property(candidates, request, (all, asked) => {
      const chosen = chooseWorker(all, asked);
      if (chosen === undefined) return;
      expect(chosen).toMatchObject({ health: "well" });
      expect(chosen.lease).not.toBe("draining");
      expect(asked.avoid).not.toContain(chosen.workerId);
      expect(chosen.runtimes).toContain(asked.runtime);
      expect(chosen.architecture).toBe(asked.architecture);
      expect(freeMiB(chosen) + chosen.idleMiB).toBeGreaterThanOrEqual(asked.memoryMiB);
    }),
  );
});

test("nobody is chosen only when nobody can take it, and the order of the list decides nothing that counts", () => {
  fc.assert(
    fc.property(candidates, request, (all, asked) => {
      const chosen = chooseWorker(all, asked);
      const without = all.filter((each) => chooseWorker([each], asked) !== undefined);
      expect(chosen === undefined).toBe(without.length === 0);
      const reversed = chooseWorker([...all].reverse(), asked);
      expect([reversed?.zone === chosen?.zone, freeMiB(reversed ?? NOBODY) === freeMiB(chosen ?? NOBODY)]).toContain(
        true,
      );
    }),
  );
});

test("no idle sandbox has to go while another worker has memory to spare", () => {
  fc.assert(
    fc.property(candidates, request, (all, asked) => {
      const chosen = chooseWorker(all, asked);
      if (chosen === undefined || freeMiB(chosen) >= asked.memoryMiB) return;
      const fits = all.filter((each) => chooseWorker([each], asked) !== undefined);
      expect(fits.filter((each) => freeMiB(each) >= asked.memoryMiB)).toEqual([]);
    }),
  );
});

test("equal workers in unequal zones: the emptier zone gets the next", () => {
  const worker = (workerId: string, zone: string, busyMiB: number): Candidate => ({
    workerId,
    zone,
    lease: "leased",
    health: "well",
    runtimes: ["nodejs24.x"],
    architecture: "x86_64",
    capacityMiB: 4096,
    busyMiB,
    idleMiB: 0,
    promisedMiB: 0,
  });
  const all = [worker("w1", "a", 0), worker("w2", "a", 1024), worker("w3", "b", 512)];
  expect(chooseWorker(all, { memoryMiB: 128, runtime: "nodejs24.x", architecture: "x86_64", avoid: [] })?.zone).toBe(
    "b",
  );
});

test("a refusal says whether there is no room now, or nobody who could ever run it", () => {
  const worker: Candidate = { ...NOBODY, workerId: "w1", runtimes: ["nodejs24.x"] };
  const why = (runtime: string, architecture: "x86_64" | "arm64", all: readonly Candidate[] = [worker]) =>
    whyNone(all, { memoryMiB: 128, runtime, architecture, avoid: [] });
  expect(why("nodejs24.x", "x86_64").name).toBe("NoRoom");
  expect(why("nodejs24.x", "arm64", []).name).toBe("NoRoom");
  expect(why("nodejs24.x", "arm64")).toEqual({
    name: "InvalidRuntimeException",
    message: "no worker runs code for arm64; there are workers for x86_64",
  });
  expect(why("nodejs22.x", "x86_64").message).toMatch(/mayfly runtime install nodejs22\.x$/);
  expect(why("python3.9", "x86_64").message).toMatch(/mayfly runtime install python3\.9 --prefix <folder>$/);
  expect(why("ruby3.4", "x86_64")).toEqual({
    name: "InvalidRuntimeException",
    message: "no worker has the runtime ruby3.4; on the host of one: mayfly runtime install <folder>",
  });
});

test("a lease lasts six to ten hours", () => {
  const hours = (random: number) => leaseLengthMs(random) / 3_600_000;
  expect([hours(0), hours(0.5), hours(0.999999)].map(Math.round)).toEqual([6, 8, 10]);
});

const NOBODY: Candidate = {
  workerId: "",
  zone: "",
  lease: "draining",
  health: "suspect",
  runtimes: [],
  architecture: "x86_64",
  capacityMiB: 0,
  busyMiB: 0,
  idleMiB: 0,
  promisedMiB: 0,
};
