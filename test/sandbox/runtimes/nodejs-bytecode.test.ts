/** What V8 compiled in one life of a Node.js function, given to another. */
import { describe, expect, test } from "vitest";
import { type Booted, bodyOf, boot, nodeBootstrap } from "./booted.ts";
import { GIVEN, large } from "./large-module.ts";

/** Reports what V8 was given for each file, and whether it took it. */
const files = (more: Readonly<Record<string, string>> = {}) => ({
  "index.js": GIVEN,
  "large.js": large("exports.answer = () => 42;"),
  ...more,
});

/** The same folder twice: what is kept names the files it is of. */
async function lives(
  code: Readonly<Record<string, string>>,
  second: (booted: Booted, kept: Buffer) => Promise<void>,
  change: (kept: Buffer) => Buffer = (kept) => kept,
): Promise<void> {
  await using first = await boot(nodeBootstrap, code);
  first.askForBytecode();
  const kept = await first.init();
  if (kept.type !== "bytecode") throw new Error(JSON.stringify(bodyOf(kept)));
  expect(await first.next()).toEqual({ type: "ready" });
  await using again = await boot(nodeBootstrap, {});
  again.keep(change(kept.payload));
  expect(await again.init({ taskRoot: first.taskRoot })).toEqual({ type: "ready" });
  await second(again, kept.payload);
}

const givenTo = async (booted: Booted) => bodyOf(await booted.invoke({}));
const taken = { "large.js": "taken" };
const refused = { "large.js": "refused" };
const nothing = { "large.js": "nothing" };

describe("bytecode", () => {
  test("of a large file is handed over once, and spares the next life from compiling it", async () => {
    await lives(files(), async (again, kept) => {
      expect(kept.length).toBeGreaterThan(0);
      expect(await givenTo(again)).toEqual({ answer: 42, given: taken });
    });
  });

  test("that is of another text of the same length isn't used", async () => {
    const text = files()["large.js"];
    await lives(
      files(),
      async (again) => expect(await givenTo(again)).toEqual({ answer: 42, given: nothing }),
      (kept) => {
        const index = kept.toString("latin1");
        const crc = /large\.js",(\d+),(\d+)/.exec(index);
        expect(crc?.[1]).toBe(String(text.length));
        const digits = crc?.[2] ?? "";
        return Buffer.from(
          index.replace(
            digits,
            digits.replace(/\d/g, (digit) => `${(Number(digit) + 1) % 10}`),
          ),
          "latin1",
        );
      },
    );
  });

  test.each([
    { what: "is for another V8", change: (kept: Buffer) => flipped(kept, dataAt(kept) + 4), given: refused },
    { what: "is cut short", change: (kept: Buffer) => kept.subarray(0, dataAt(kept) + 40), given: refused },
    { what: "has no index", change: (kept: Buffer) => kept.subarray(0, 7), given: nothing },
    { what: "is noise", change: (kept: Buffer) => Buffer.alloc(kept.length, 0x5a), given: nothing },
  ])("that $what doesn't keep the function from working", async ({ change, given }) => {
    await lives(files(), async (again) => expect(await givenTo(again)).toEqual({ answer: 42, given }), change);
  });

  test("is of nothing in a function of small files", async () => {
    await using booted = await boot(nodeBootstrap, { "index.js": "exports.handler = async () => 1;\n" });
    booted.askForBytecode();
    expect(await booted.init()).toEqual({ type: "bytecode", payload: Buffer.alloc(0) });
    expect(await booted.next()).toEqual({ type: "ready" });
    expect(bodyOf(await booted.invoke({}))).toBe(1);
  });

  test("is handed over before the first event, and nothing of what an event does is in it", async () => {
    const late = large("exports.answer = () => 7;");
    await using booted = await boot(nodeBootstrap, {
      "index.js": `${GIVEN.replace('require("./large.js")', "{ answer: () => require('./late.js').answer() }")}`,
      "late.js": late,
    });
    booted.askForBytecode();
    expect(await booted.init()).toEqual({ type: "bytecode", payload: Buffer.alloc(0) });
    expect(await booted.next()).toEqual({ type: "ready" });
    expect(bodyOf(await booted.invoke({}))).toMatchObject({ answer: 7 });
  });

  test("is none where nobody keeps any: Node compiles the files itself", async () => {
    await using booted = await boot(nodeBootstrap, files());
    await booted.init();
    expect(bodyOf(await booted.invoke({}))).toEqual({ answer: 42, given: {} });
  });
});

test("a file that is compiled for keeping is the same module as one that Node compiles", async () => {
  const body = `"use strict"; const thrown = new Error("here"); exports.hasNoCallee = (() => { try { return arguments.callee && false; } catch { return true; } })();
    exports.stack = [thrown, new Error("there")].map(({ stack }) => stack.split("\\n")[1]);
    exports.names = [__filename, __dirname, module.id, module.paths.length];
    exports.known = [require.cache[__filename] === module, require.main === process.mainModule, module.loaded, this === exports];
    exports.child = [require("./small.js").parent === module, module.children.length];
    exports.later = () => import("./esm.mjs").then(({ x }) => x);
    exports.cycle = (() => { try { return require("./cycle.mjs").seen; } catch ({ code }) { return code; } })();
    exports.missing = (() => { try { require("./missing.js"); } catch ({ requireStack }) { return requireStack; } })();
    exports.own = Reflect.ownKeys(module).map(String).filter((name) => name.includes("mayfly"));
    exports.env = { ...process.env, AWS_LAMBDA_RUNTIME_API: "a port of its own" };
  `;
  await using booted = await boot(nodeBootstrap, {
    "index.js": `const large = require("./large.js"); exports.handler = async () => ({ ...large, later: await large.later() });`,
    "large.js": large(body),
    "small.js": "exports.parent = module.parent;\n",
    "esm.mjs": "export const x = 7;\n",
    "cycle.mjs": `import large from "./large.js"; export const seen = Object.keys(large);\n`,
  });
  booted.askForBytecode();
  expect(await booted.init()).toMatchObject({ type: "bytecode" });
  expect(await booted.next()).toEqual({ type: "ready" });
  const kept = bodyOf(await booted.invoke({}));
  await using plain = await boot(nodeBootstrap, {});
  await plain.init({ taskRoot: booted.taskRoot, env: { LAMBDA_TASK_ROOT: booted.taskRoot } });
  expect(kept).toEqual(bodyOf(await plain.invoke({})));
  expect(kept).toMatchObject({
    later: 7,
    own: [],
    child: [true, 1],
    stack: [expect.stringContaining("large.js:1:30"), expect.stringContaining("large.js:2:")],
  });
});

test.each([
  ["an ES module in a .js file", large("export const answer = () => 42;"), "Runtime.None"],
  ["one with a syntax error", large("exports.answer = () => ;"), "Runtime.UserCodeSyntaxError"],
])("%s is Node's to judge", async (_, text, errorType) => {
  await using booted = await boot(nodeBootstrap, { "index.js": GIVEN, "large.js": text });
  booted.askForBytecode();
  const said = await booted.init();
  if (errorType === "Runtime.None") {
    expect([said.type, (await booted.next()).type]).toEqual(["bytecode", "ready"]);
    expect(bodyOf(await booted.invoke({}))).toMatchObject({ answer: 42 });
  } else expect(said).toMatchObject({ type: "initError", errorType });
});

/** Where the bytecode of the first file begins. */
const dataAt = (kept: Buffer): number => Math.ceil((4 + kept.readUInt32BE(0)) / 8) * 8;

function flipped(kept: Buffer, at: number): Buffer {
  const copy = Buffer.from(kept);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}
