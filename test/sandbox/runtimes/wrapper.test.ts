/** AWS_LAMBDA_EXEC_WRAPPER and NODE_OPTIONS: our own runtimes, started by the host. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { asksForFreshProcess } from "../../../actors/sandbox/runtimes/hosting.ts";
import { type Booted, bodyOf, boot, host, nodeBootstrap, pythonBootstrap } from "./booted.ts";

const pythonWithoutFlags = pythonBootstrap.filter((word) => !["-I", "-S"].includes(word));

const wrapped = (booted: Booted, client: readonly string[], env: Record<string, string> = {}) =>
  booted.init({ client, env: { AWS_LAMBDA_EXEC_WRAPPER: join(booted.taskRoot, "wrapper"), ...env } });

describe("a wrapper script", () => {
  test("starts the Node.js runtime, and hands its environment on", async () => {
    await using booted = await boot(host, {
      wrapper: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
      "index.js": "exports.handler = async () => [process.env.WRAPPED, process.env.COLOUR];",
    });
    expect(await wrapped(booted, nodeBootstrap, { COLOUR: "grün" })).toEqual({ type: "ready" });
    expect(bodyOf(await booted.invoke({}))).toEqual(["yes", "grün"]);
  });

  test("starts the Python runtime, and decides about Python's own options", async () => {
    await using booted = await boot(host, {
      wrapper: '#!/bin/sh\nexport WRAPPED=yes PYTHONPATH="$PWD/hooks"\nexec "$@"\n',
      "hooks/sitecustomize.py": "import builtins\nbuiltins.hooked = True\n",
      "index.py": "import os\ndef handler(event, context):\n    return [os.environ['WRAPPED'], hooked]\n",
    });
    expect(await wrapped(booted, pythonWithoutFlags)).toEqual({ type: "ready" });
    expect(bodyOf(await booted.invoke({}))).toEqual(["yes", true]);
  });

  test.each([
    ["Node.js", nodeBootstrap],
    ["Python", pythonBootstrap],
  ])("that isn't there ends the %s runtime with exit status 127", async (_name, client) => {
    await using booted = await boot(host, {});
    expect(await wrapped(booted, client)).toEqual({ type: "exit", code: 127, signal: null });
    expect(await booted.next()).toEqual({ type: "ended", code: 127, signal: null });
    expect(booted.printed()).toContain(join(booted.taskRoot, "wrapper"));
  });

  test("isn't asked by a function's own bootstrap, as on Lambda", async () => {
    await using booted = await boot(host, {
      wrapper: "#!/bin/sh\nexit 9\n",
      bootstrap: '#!/bin/sh\necho "wrapper=$AWS_LAMBDA_EXEC_WRAPPER"\nsleep 60\n',
    });
    void booted.init({ env: { AWS_LAMBDA_EXEC_WRAPPER: join(booted.taskRoot, "wrapper") } });
    expect((await booted.printedLike(/wrapper=(.+)/))[1]).toContain("/wrapper");
  });
});

test("Node.js takes its options when it starts", async () => {
  await using booted = await boot(host, {
    "hook.cjs": "globalThis.hooked = true;",
    "index.js": "exports.handler = async () => [globalThis.hooked, 'NODE_OPTIONS' in process.env];",
  });
  const env = { NODE_OPTIONS: `--require ${join(booted.taskRoot, "hook.cjs")}` };
  await booted.init({ client: nodeBootstrap, env });
  expect(bodyOf(await booted.invoke({}))).toEqual([true, true]);
});

test("only who asks for a fresh process gets one", () => {
  expect(asksForFreshProcess({})).toBe(false);
  expect(asksForFreshProcess({ NODE_OPTIONS: " --enable-source-maps " })).toBe(false);
  expect(asksForFreshProcess({ NODE_OPTIONS: "--require ./x.cjs" })).toBe(true);
  expect(asksForFreshProcess({ AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrap" })).toBe(true);
});
