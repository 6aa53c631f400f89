import { describe, expect, it } from "vitest";
import type { Configuration } from "../../bin/api.ts";
import { changesOf } from "../../bin/config-changes.ts";
import { Misused } from "../../bin/failure.ts";
import { type PackageFiles, PackageUnfit } from "../../bin/package/contents.ts";
import { type Detected, detect } from "../../bin/package/detect.ts";
import { differs, nameFrom, plan, type Wishes } from "../../bin/package/plan.ts";

const filesOf = (texts: Readonly<Record<string, string>>): PackageFiles =>
  new Map(
    Object.entries(texts).map(([name, text]) => [
      name,
      { name, executable: text.startsWith("#!"), bytes: text.length, text: async () => text },
    ]),
  );

describe("detection", () => {
  const cases: ReadonlyArray<readonly [string, Record<string, string>, string | undefined]> = [
    ["an exported function", { "index.mjs": "export const handler = async () => 1" }, "nodejs index.handler"],
    ["an exported async function", { "index.js": "export async function handler() {}" }, "nodejs index.handler"],
    ["a list of exports", { "index.mjs": "const a=1;export { b as run };" }, "nodejs index.run"],
    ["CommonJS", { "index.cjs": "exports.handler = () => {}" }, "nodejs index.handler"],
    ["module.exports", { "index.js": "module.exports.main = () => {}" }, "nodejs index.main"],
    ["two names, one usual", { "index.mjs": "export const a=1; export function handler(){}" }, "nodejs index.handler"],
    ["hidden by a bundler", { "index.js": "var t=e=>1;n(exports,{handler:()=>t})" }, "nodejs index.handler"],
    [
      "package.json's main",
      { "package.json": '{"main":"./dist/app.js"}', "dist/app.js": "exports.handler=1", "index.js": "" },
      "nodejs dist/app.handler",
    ],
    [
      "Lambda's Python name",
      { "lambda_function.py": "def lambda_handler(e, c):\n  pass" },
      "python lambda_function.lambda_handler",
    ],
    ["another Python name", { "app.py": "import os\n\ndef handler(e, c):\n  pass" }, "python app.handler"],
    ["an instance as handler", { "app.py": "def f(): pass\ndef g(): pass\nhandler = App()" }, "python app.handler"],
    ["an executable bootstrap", { bootstrap: "#!/bin/x", "index.mjs": "" }, "provided bootstrap"],
    ["a bootstrap that can't run", { bootstrap: "text", "index.mjs": "" }, "nodejs index.handler"],
    ["nothing known", { "main.go": "" }, undefined],
  ];
  it.each(cases)("of %s", async (_, texts, expected) => {
    const found = await detect(filesOf(texts));
    expect(found && `${found.language} ${found.handler}`).toBe(expected);
  });
});

describe("a plan", () => {
  const node: Detected = { language: "nodejs", handler: "index.handler", from: "index.mjs" };
  const python: Detected = { language: "python", handler: "app.handler", from: "app.py" };
  const wishes = (some: Partial<Wishes>): Wishes => ({
    flags: { env: {} },
    manifest: {},
    present: undefined,
    detected: node,
    files: filesOf({ "index.mjs": "" }),
    defaultRuntime: (language) =>
      ({ nodejs: "nodejs24.x", python: "python3.12", provided: "provided.al2023" })[language],
    ...some,
  });
  const present: Configuration = {
    Runtime: "nodejs22.x",
    Handler: "index.main",
    Environment: { Variables: { KEPT: "1" } },
  };

  it("takes flags before mayfly.json before what is detected", () => {
    const manifest = { handler: "index.manifest", memory: 256, timeout: 5 };
    expect(plan(wishes({ flags: { env: {}, memory: 512 }, manifest }))).toEqual({
      Runtime: "nodejs24.x",
      Handler: "index.manifest",
      MemorySize: 512,
      Timeout: 5,
    });
  });

  it("leaves runtime and handler of a function alone that the new code still fits", () => {
    expect(plan(wishes({ present }))).toEqual({ Runtime: "nodejs22.x", Handler: "index.main" });
  });

  it("takes what is detected when the code is of another language, or its handler's file is gone", () => {
    const other = wishes({ present, detected: python, files: filesOf({ "app.py": "" }) });
    expect(plan(other)).toEqual({ Runtime: "python3.12", Handler: "app.handler" });
    const moved = wishes({
      present,
      detected: { ...node, handler: "main.handler" },
      files: filesOf({ "main.mjs": "" }),
    });
    expect(plan(moved)).toEqual({ Runtime: "nodejs24.x", Handler: "main.handler" });
  });

  it("adds variables of flags to those there are, and replaces them by those of mayfly.json", () => {
    const variables = (some: Partial<Wishes>) => plan(wishes({ present, ...some })).Environment?.Variables;
    expect(variables({})).toBeUndefined();
    expect(variables({ flags: { env: { NEW: "2" } } })).toEqual({ KEPT: "1", NEW: "2" });
    expect(variables({ manifest: { environment: { NEW: "2" } } })).toEqual({ NEW: "2" });
  });

  it("refuses with a remedy what nothing tells how to run", () => {
    expect(() => plan(wishes({ detected: undefined }))).toThrow(PackageUnfit);
    expect(() => plan(wishes({ flags: { env: {}, runtime: "python3.12" } }))).toThrow(/--handler|handler/);
    const own = wishes({ flags: { env: {}, runtime: "provided.al2023" }, detected: undefined });
    expect(plan(own)).toEqual({ Runtime: "provided.al2023", Handler: "bootstrap" });
  });

  it("differs from a function only in what it says", () => {
    const now: Configuration = { ...present, Timeout: 3, Description: "" };
    expect(differs(now, { Runtime: "nodejs22.x", Handler: "index.main", Description: "" })).toBe(false);
    expect(differs(now, { Environment: { Variables: { KEPT: "1" } } })).toBe(false);
    expect(differs({}, { Environment: { Variables: {} } })).toBe(false);
    expect(differs(now, { Timeout: 4 })).toBe(true);
    const [one, other] = ["arn:1", "arn:2"];
    const layered = { ...now, Layers: [{ Arn: one, CodeSize: 1 }] };
    expect(differs(layered, { Layers: [one] })).toBe(false);
    expect(differs(layered, { Layers: [one, other] })).toBe(true);
    expect(differs(now, { Layers: [] })).toBe(false);
  });

  it("makes a function's name of a folder's", () => {
    expect(nameFrom("hello")).toBe("hello");
    expect(nameFrom("My Function (2).zip")).toBe("My-Function-2");
    expect(() => nameFrom("…")).toThrow(Misused);
  });
});

describe("the words of `mayfly config`", () => {
  it("are read into what the API is told", () => {
    expect(changesOf(["memory=256", "tmp=1024", "env.A=b=c", "env.EMPTY=", "reserved=5"], "set")).toEqual({
      settings: { MemorySize: 256, EphemeralStorage: { Size: 1024 } },
      variables: { A: "b=c", EMPTY: "" },
      reserved: 5,
    });
    expect(changesOf(["timeout", "env.A", "reserved"], "unset")).toEqual({
      settings: { Timeout: 3 },
      variables: { A: null },
      reserved: null,
    });
    expect(changesOf(["layers=deps,tools:3", "log-format=json", "log-level=debug"], "set")).toEqual({
      layers: ["deps", "tools:3"],
      logging: { LogFormat: "JSON", ApplicationLogLevel: "DEBUG" },
    });
    expect(changesOf(["layers", "log-format", "system-log-level"], "unset")).toEqual({
      layers: [],
      logging: { LogFormat: "Text", SystemLogLevel: "INFO" },
    });
  });

  it.each([["memory"], ["memory=much"], ["log-format=xml"], ["=1"], ["colour=red"], ["env.=1"], ["constructor=1"]])(
    "%s is misuse",
    (word) => {
      expect(() => changesOf([word], "set")).toThrow(Misused);
    },
  );

  it("know no default for a handler", () => {
    expect(() => changesOf(["handler"], "unset")).toThrow(Misused);
  });
});
