import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AlreadyClaimed, claim } from "../../bin/embedded/claim.ts";
import { identify } from "../../bin/embedded/process-identity.ts";
import { temporaryFolder } from "./temporary-home.ts";

test("a claim is refused while its holder lives, and granted after its release", async () => {
  const file = join(await temporaryFolder(), "claim");
  const first = await claim(file);
  const refusal = await claim(file).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(AlreadyClaimed);
  expect((refusal as AlreadyClaimed).holder).toBe(process.pid);
  await first.release();
  await (await claim(file)).release();
});

test("a dead holder's claim is taken over, also when another process has its number now", async () => {
  const folder = await temporaryFolder();
  const file = join(folder, "claim");
  await writeFile(`${file}.7`, JSON.stringify({ pid: process.pid, startedAt: "before the flood" }));
  await claim(file);
  expect(await readdir(folder)).toEqual(["claim.8"]);
});

test("a damaged claim doesn't lock anybody out", async () => {
  const file = join(await temporaryFolder(), "claim");
  await writeFile(`${file}.1`, '{"pid":');
  await (await claim(file)).release();
});

test("of many who come upon a dead holder's claim at once, exactly one gets it", async () => {
  const file = join(await temporaryFolder(), "claim");
  await writeFile(`${file}.1`, JSON.stringify({ pid: 1, startedAt: "never" }));
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => claim(file)));
  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
});

test("many who claim and give back in turn never hold it together", async () => {
  const file = join(await temporaryFolder(), "claim");
  let holders = 0;
  let most = 0;
  let granted = 0;
  const contender = async () => {
    for (let round = 0; round < 40; round++) {
      const held = await claim(file).catch((error: unknown) => {
        expect(error).toBeInstanceOf(AlreadyClaimed);
        return undefined;
      });
      if (!held) continue;
      granted++;
      most = Math.max(most, ++holders);
      await stat(file).catch(() => {});
      holders--;
      await held.release();
    }
  };
  await Promise.all(Array.from({ length: 8 }, contender));
  expect(most).toBe(1);
  expect(granted).toBeGreaterThan(1);
});

test("a process is told from others, and none is found where none is", async () => {
  expect(await identify(process.pid)).toEqual(await identify(process.pid));
  expect(await identify(process.pid)).not.toEqual(await identify(1));
  expect(await identify(2 ** 22 + 1)).toBeUndefined();
});
