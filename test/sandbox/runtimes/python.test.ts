import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Booted, bodyOf, boot, pythonBootstrap } from "./booted.ts";

/** Boots with the given module text and runs its handler once. */
async function runOnce(text: string, changes: Parameters<Booted["init"]>[0] = {}) {
  await using booted = await boot(pythonBootstrap, { "index.py": text });
  const ready = await booted.init(changes);
  return ready.type === "ready" ? await booted.invoke({ name: "Ada" }) : ready;
}

/** A handler that returns the value of an expression. */
const returns = (expression: string) => `def handler(event, context):\n    return ${expression}\n`;

describe("loading", () => {
  test.each([
    ["a module in a folder", "src/users.py", "src/users.handler"],
    ["a module of a package", "app/users.py", "app.users.handler"],
  ])("finds %s", async (_what, file, handler) => {
    await using booted = await boot(pythonBootstrap, { [file]: returns("'found'") });
    await booted.init({ handler });
    expect(bodyOf(await booted.invoke({}))).toBe("found");
  });

  test.each([
    [
      "a name without a dot",
      "index",
      "Runtime.MalformedHandlerName",
      "Bad handler 'index': not enough values to unpack",
    ],
    [
      "a built-in module",
      "sys.exit",
      "Runtime.BuiltInModuleConflict",
      "Cannot use built-in module sys as a handler module",
    ],
    ["a missing function", "index.gone", "Runtime.HandlerNotFound", "Handler 'gone' missing on module 'index'"],
    [
      "a missing module",
      "gone.handler",
      "Runtime.ImportModuleError",
      "Unable to import module 'gone': No module named",
    ],
  ])("refuses %s", async (_what, handler, errorType, message) => {
    const said = await runOnce(returns("1"), { handler });
    expect(said).toMatchObject({ type: "initError", errorType });
    const body = bodyOf(said) as { errorMessage: string; requestId: string };
    expect(body.errorMessage).toContain(message);
    expect(body.requestId).toBe("");
  });

  test("shows where the syntax is wrong", async () => {
    const said = await runOnce("x = 1\ndef handler(event, context)\n    pass\n");
    const body = bodyOf(said) as { errorMessage: string; stackTrace: string[] };
    expect(said).toMatchObject({ type: "initError", errorType: "Runtime.UserCodeSyntaxError" });
    expect(body.errorMessage).toContain("Syntax error in module 'index'");
    expect(body.stackTrace[0]).toMatch(/index\.py" Line 2\n/);
  });

  test("looks for modules in the function's folder, in its layers, then in PYTHONPATH", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py":
        "import sys, layered\ndef handler(event, context):\n    return [layered.x, sys.path[0], sys.path.index('/opt/python') < sys.path.index(layered.__file__[:-11])]\n",
      "layer/layered.py": "x = 'from a layer'\n",
    });
    await booted.init({ env: { PYTHONPATH: join(booted.taskRoot, "layer") } });
    expect(bodyOf(await booted.invoke({}))).toEqual(["from a layer", booted.taskRoot, true]);
  });

  test("doesn't show a function the packages that the host's owner installed", async () => {
    const paths = bodyOf(await runOnce(`import sys\n${returns("sys.path")}`)) as string[];
    expect(paths.filter((path) => path.includes("dist-packages"))).toEqual([]);
  });
});

describe("answering", () => {
  test.each([
    ["nothing", "None", null],
    ["decimals", "__import__('decimal').Decimal('3')", 3],
    ["other alphabets", "'grüß ' + event['name']", "grüß Ada"],
  ])("takes %s", async (_what, expression, result) => {
    expect(bodyOf(await runOnce(returns(expression)))).toEqual(result);
  });

  test("takes bytes as they are", async () => {
    const said = await runOnce(returns("b'\\x00\\xff'"));
    expect(said).toMatchObject({ type: "response", contentType: "application/unknown" });
    expect("payload" in said && [...said.payload]).toEqual([0, 255]);
  });

  test("refuses what can't be JSON", async () => {
    const said = await runOnce(returns("{1, 2}"));
    expect(bodyOf(said)).toEqual({
      errorMessage: "Unable to marshal response: Object of type set is not JSON serializable",
      errorType: "Runtime.MarshalError",
      requestId: "request-1",
      stackTrace: [],
    });
  });

  test("gives an error with its trace, from the function's own code on", async () => {
    const said = await runOnce(
      "def greet():\n    raise KeyError('name')\ndef handler(event, context):\n    return greet()\n",
    );
    const body = bodyOf(said) as { stackTrace: string[] };
    expect(body).toMatchObject({ errorMessage: "'name'", errorType: "KeyError", requestId: "request-1" });
    expect(body.stackTrace).toHaveLength(2);
    expect(body.stackTrace[0]).toMatch(/File ".*index\.py", line 4, in handler\n {4}return greet\(\)\n/);
  });

  test("an event that isn't JSON is an error of the invocation", async () => {
    await using booted = await boot(pythonBootstrap, { "index.py": returns("1") });
    await booted.init();
    expect(await booted.send(Buffer.from("{oops"))).toMatchObject({
      type: "error",
      errorType: "Runtime.UnmarshalError",
    });
    expect(bodyOf(await booted.invoke({}))).toBe(1);
  });

  test("a context with garbage is an error of the invocation", async () => {
    await using booted = await boot(pythonBootstrap, { "index.py": returns("1") });
    await booted.init();
    const said = await booted.invoke({}, { clientContext: "{oops" });
    expect(said).toMatchObject({ type: "error", errorType: "Runtime.LambdaContextUnmarshalError" });
  });
});

describe("the process", () => {
  test("descriptor 3 is the function's to use", async () => {
    const said = await runOnce(`import os\n${returns("os.open('/dev/null', os.O_RDONLY)")}`);
    expect(bodyOf(said)).toBe(3);
  });

  test.each([
    ["serves", "def handler(event, context):\n    return len(held) > 100\n", true],
    [
      "tells why it can't load",
      "raise ValueError('too many')\n",
      { errorType: "ValueError", errorMessage: "too many" },
    ],
  ])("one that holds all descriptors it may have %s", async (_, rest, told) => {
    const hoard = `
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
`;
    await using booted = await boot(pythonBootstrap, { "index.py": hoard + rest });
    const began = await booted.init();
    const said = began.type === "ready" ? await booted.invoke({}) : began;
    const body = bodyOf(said);
    if (typeof told === "object") expect(body).toMatchObject(told);
    else expect(body).toBe(told);
  });

  test("sys.exit while loading ends it", async () => {
    await using booted = await boot(pythonBootstrap, { "index.py": "import sys\nsys.exit(4)\n" });
    expect(await booted.init()).toEqual({ type: "ended", code: 4, signal: null });
  });

  test("a child made by fork can log, and leaves the invocation to its parent", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py": `
import logging, os
def handler(event, context):
    child = os.fork()
    if child == 0:
        logging.error("from the child")
        os._exit(0)
    os.waitpid(child, 0)
    return "parent"
`,
    });
    await booted.init();
    expect(bodyOf(await booted.invoke({}))).toBe("parent");
    expect(booted.logs.map((log) => log.text)).toEqual([expect.stringContaining("from the child")]);
  });
});

describe("logging", () => {
  test("what is printed goes to stdout, all of it by the end of the invocation", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py": "def handler(event, context):\n    print('hello')\n    print('no newline', end='')\n",
    });
    await booted.init();
    await booted.invoke({});
    await booted.printedLike(/^hello\nno newline$/);
  });

  test("records carry level, time and request, many lines in one message", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py": `
import logging
logging.warning("loading")
def handler(event, context):
    logging.getLogger("app").error("two\\nlines %d", 2)
    logging.info("not shown by default")
    context.log("plain")
`,
    });
    await booted.init();
    await booted.invoke({});
    const [loading, error, plain] = booted.logs;
    expect(loading).toMatchObject({ level: "WARN", requestId: "" });
    expect(error).toMatchObject({ level: "ERROR", requestId: "request-1" });
    expect(error?.text).toMatch(/^\[ERROR\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\trequest-1\ttwo\nlines 2$/);
    expect(plain).toMatchObject({ level: "NONE", text: "plain" });
    expect(booted.logs).toHaveLength(3);
  });

  test("is loaded when the function wants it, also late and beside a module of that name, and not for one that doesn't", async () => {
    await using booted = await boot(pythonBootstrap, {
      "logging.py": "raise ImportError('the wrong one')\n",
      "index.py": `
import sys
def handler(event, context):
    loaded = "logging" in sys.modules
    import logging
    logging.getLogger().warning("heard")
    return loaded
`,
    });
    await booted.init();
    expect(bodyOf(await booted.invoke({}))).toBe(false);
    expect(booted.logs).toMatchObject([{ level: "WARN", text: expect.stringContaining("heard") }]);
  });

  test("a failed invocation is logged with its trace", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py": "def handler(event, context):\n    raise ValueError('no')\n",
    });
    await booted.init();
    await booted.invoke({});
    expect(booted.logs[0]).toMatchObject({ level: "ERROR", requestId: "request-1" });
    expect(booted.logs[0]?.text).toMatch(
      /^\[ERROR\] ValueError: no\nTraceback \(most recent call last\):\n {2}File ".*index.py", line 2/,
    );
  });

  test("JSON lines hold message, extra fields and exceptions, from the level asked for", async () => {
    await using booted = await boot(pythonBootstrap, {
      "index.py": `
import logging
log = logging.getLogger("app")
def handler(event, context):
    log.debug("quiet")
    log.info({"user": 7}, extra={"cart": 3})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("bad")
`,
    });
    await booted.init({ logFormat: "JSON", logLevel: "INFO" });
    await booted.invoke({}, { tenantId: "blue" });
    expect(booted.logs.map((log) => JSON.parse(log.text))).toMatchObject([
      { level: "INFO", requestId: "request-1", tenantId: "blue", message: { user: 7 }, cart: 3, logger: "app" },
      { level: "ERROR", message: "bad", errorType: "ZeroDivisionError", errorMessage: "division by zero" },
    ]);
  });
});
