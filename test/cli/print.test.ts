import { expect, test, vi } from "vitest";
import { harmless, remark, say } from "../../bin/print.ts";

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

test.each([
  ["results", say, process.stdout],
  ["remarks", remark, process.stderr],
] as const)("all that is printed goes that way: %s", (_, print, stream) => {
  const written = vi.spyOn(stream, "write").mockReturnValue(true);
  const isTTY = Object.getOwnPropertyDescriptor(stream, "isTTY");
  Object.defineProperty(stream, "isTTY", { value: true, configurable: true });
  try {
    print("\x1b[2Jgone");
    expect(written.mock.calls).toEqual([["\\u001b[2Jgone\n"]]);
  } finally {
    if (isTTY === undefined) Reflect.deleteProperty(stream, "isTTY");
    else Object.defineProperty(stream, "isTTY", isTTY);
    written.mockRestore();
  }
});
