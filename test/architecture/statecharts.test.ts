import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { statecharts } from "../support/statecharts.ts";

test("actors/STATECHARTS.md shows the machines as they are", async () => {
  const page = await readFile(new URL("../../actors/STATECHARTS.md", import.meta.url), "utf8");
  expect(page, "run: node test/support/export-statecharts.ts").toBe(statecharts());
});
