import { expect, test } from "vitest";
import { harmless } from "../../bin/print.ts";

const terminal = { isTTY: true } as const;

test.each([
  ["plain\twords\nin lines", "plain\twords\nin lines"],
  ["\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"],
  ["\x1b[32mgreen to the end", "\x1b[32mgreen to the end\x1b[0m"],
  ["\x1b[2Jgone", "\\u001b[2Jgone"],
  ["\x1b]0;title\x07", "\\u001b]0;title\\u0007"],
  ["over\rwritten\b", "over\\u000dwritten\\u0008"],
  ["\x9b2J", "\\u009b2J"],
  ["turned \u202eround", "turned \\u202eround"],
  ["für Ada 👩‍💻", "für Ada 👩‍💻"],
])("what a function wrote does nothing to a terminal but colour it: %j", (written, shown) => {
  expect(harmless(written, terminal)).toBe(shown);
});

test("what goes elsewhere is as it was written", () => {
  expect(harmless("\x1b[2J\r", { isTTY: false })).toBe("\x1b[2J\r");
});
