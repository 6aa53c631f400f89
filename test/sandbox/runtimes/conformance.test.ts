import { beforeAll, describe, expect, test } from "vitest";
import { goFunction, nodeClient, pythonClient } from "./aws-clients.ts";
import { arn, type Booted, bodyOf, boot, host, nodeBootstrap, pythonBootstrap } from "./booted.ts";
import { nodeFunction, ownClient, pythonFunction } from "./functions.ts";

interface Flavour {
  readonly name: string;
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  /** Gives a file that starts the runtime client, where the flavour isn't one of our own. */
  readonly bootstrap?: () => Promise<{ command: string } | { missing: string }>;
  readonly errorType: string;
  /** One of our clients, started by the host. */
  readonly client?: readonly string[];
  /** Whether the client says which failure of loading it was. */
  readonly namesInitErrors: boolean;
  /** Whether the client itself ends when its response is refused. */
  readonly diesOfRefusal?: boolean;
}

const flavours: readonly Flavour[] = [
  { name: "nodejs", command: nodeBootstrap, files: nodeFunction, errorType: "TypeError", namesInitErrors: true },
  { name: "python", command: pythonBootstrap, files: pythonFunction, errorType: "TypeError", namesInitErrors: true },
  {
    name: "nodejs behind the host",
    command: host,
    client: nodeBootstrap,
    files: nodeFunction,
    errorType: "TypeError",
    namesInitErrors: true,
  },
  {
    name: "python behind the host",
    command: host,
    client: pythonBootstrap,
    files: pythonFunction,
    errorType: "TypeError",
    namesInitErrors: true,
  },
  {
    name: "custom",
    command: host,
    files: { ...nodeFunction, bootstrap: ownClient },
    errorType: "Function.TypeError",
    namesInitErrors: false,
  },
  {
    name: "custom, with AWS's client for Node.js",
    command: host,
    files: nodeFunction,
    bootstrap: nodeClient,
    errorType: "Runtime.Unknown",
    namesInitErrors: true,
  },
  {
    name: "custom, with AWS's client for Python",
    command: host,
    files: pythonFunction,
    bootstrap: pythonClient,
    errorType: "Runtime.Unknown",
    namesInitErrors: true,
    diesOfRefusal: true,
  },
  {
    name: "custom, with AWS's client for Go",
    command: host,
    files: {},
    bootstrap: goFunction,
    errorType: "Runtime.Unknown",
    namesInitErrors: false,
    diesOfRefusal: true,
  },
];

describe.each(flavours)("the $name runtime", (flavour) => {
  let files = flavour.files;
  let missing: string | null = null;

  beforeAll(async () => {
    const client = await flavour.bootstrap?.();
    if (client && "missing" in client) missing = client.missing;
    if (client && "command" in client) files = { ...files, bootstrap: `#!/bin/sh\n${client.command}\n` };
  }, 300_000);

  const bootIt = async (): Promise<Booted> => {
    const booted = await boot(flavour.command, files);
    const { client } = flavour;
    return client ? { ...booted, init: (changes) => booted.init({ client, ...changes }) } : booted;
  };
  const it = (title: string, check: (booted: Booted) => Promise<void>) =>
    test(title, async ({ skip }) => {
      if (missing) skip(missing);
      await using booted = await bootIt();
      await check(booted);
    });

  it("answers events one after another, and keeps its memory between them", async (booted) => {
    expect(await booted.init()).toEqual({ type: "ready" });
    for (const count of [1, 2, 3]) {
      const said = await booted.invoke({ greeting: "grüß dich 🪰" });
      expect(said).toMatchObject({ type: "response", requestId: `request-${count}` });
      expect(bodyOf(said)).toEqual({ event: { greeting: "grüß dich 🪰" }, count });
    }
  });

  it("hands an empty payload over as an empty object", async (booted) => {
    await booted.init();
    expect(bodyOf(await booted.send(Buffer.alloc(0)))).toEqual({ event: {}, count: 1 });
  });

  it("gives the handler its context", async (booted) => {
    await booted.init({ handler: "index.context" });
    const said = await booted.invoke(null, {
      requestId: "1f2e",
      clientContext: '{"custom":{\n"city":"Zürich"}}',
      cognitoIdentity: '{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}',
    });
    expect(bodyOf(said)).toEqual({
      requestId: "1f2e",
      arn,
      name: "greet",
      version: "7",
      memory: "128",
      group: "/aws/lambda/greet",
      stream: "2026/11/23/[7]0123456789abcdef0123456789abcdef",
      custom: { city: "Zürich" },
      identity: "id",
      inTime: true,
    });
  });

  it("shows the function its own environment, and nothing of ours", async (booted) => {
    await booted.init({ handler: "index.environment", env: { COLOUR: "grün" } });
    const environment = bodyOf(await booted.invoke({})) as Record<string, string>;
    expect(environment.COLOUR).toBe("grün");
    expect(environment._HANDLER).toBe("index.environment");
    expect(Object.keys(environment).filter((name) => /mayfly/i.test(name))).toEqual([]);
  });

  it("sets the trace of each invocation, and takes it away again", async (booted) => {
    await booted.init({ handler: "index.trace" });
    expect(bodyOf(await booted.invoke({}, { traceId: "Root=1-a;Sampled=1" }))).toBe("Root=1-a;Sampled=1");
    expect(bodyOf(await booted.invoke({}))).toBeNull();
  });

  it("answers with the error that was thrown, and serves on", async (booted) => {
    await booted.init({ handler: "index.fail" });
    const said = await booted.invoke({ fail: true });
    expect(said).toMatchObject({ type: "error", requestId: "request-1", errorType: flavour.errorType });
    expect(bodyOf(said)).toMatchObject({ errorType: "TypeError", errorMessage: "no such greeting" });
    expect(bodyOf(await booted.invoke({}))).toBe("fine");
  });

  it("takes an event of megabytes, and gives one back", async (booted) => {
    await booted.init();
    const text = "flieg".repeat(1_000_000);
    expect(bodyOf(await booted.invoke({ text }))).toEqual({ event: { text }, count: 1 });
  });

  it("refuses to send a response that is too large", async (booted) => {
    await booted.init({ handler: "index.large" });
    const said = await booted.invoke({ length: 6_291_555 });
    expect(said).toMatchObject({ type: "error", errorType: "Function.ResponseSizeTooLarge" });
    expect(bodyOf(said)).toEqual({
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
      errorType: "Function.ResponseSizeTooLarge",
    });
    if (flavour.diesOfRefusal) expect(await booted.next()).toMatchObject({ type: "exit", code: 1 });
    else expect(bodyOf(await booted.invoke({ length: 1 }))).toBe("x");
  });

  it("keeps the channel from the processes that the function starts", async (booted) => {
    await booted.init({ handler: "index.descriptors" });
    const listing = bodyOf(await booted.invoke({})) as string;
    const targets = new Map(Array.from(listing.matchAll(/ (\d+) -> (\S+)/g), ([, fd, target]) => [Number(fd), target]));
    for (const standard of [0, 1, 2]) targets.delete(standard);
    // AWS's clients leave sockets of their own to their children.
    if (!flavour.bootstrap) expect([...targets.values()].filter((target) => target?.startsWith("socket:"))).toEqual([]);
  });

  it("ends as the function's process ends", async (booted) => {
    await booted.init({ handler: "index.leave" });
    const said = await booted.invoke({ code: 3 });
    if (flavour.command === host) {
      expect(said).toEqual({ type: "exit", code: 3, signal: null });
      expect(await booted.next()).toEqual({ type: "ended", code: 3, signal: null });
    } else expect(said).toEqual({ type: "ended", code: 3, signal: null });
  });

  it("says that a handler is missing", async (booted) => {
    if (!flavour.namesInitErrors) return;
    const said = await booted.init({ handler: "index.nothing" });
    expect(said).toMatchObject({ type: "initError", errorType: "Runtime.HandlerNotFound" });
    expect(bodyOf(said)).toMatchObject({ errorType: "Runtime.HandlerNotFound" });
    expect(await endOf(booted)).not.toBe(0);
  });

  it("says that a module can't be found, or is broken", async (booted) => {
    if (!flavour.namesInitErrors) return;
    const said = await booted.init({ handler: "nowhere.handler" });
    expect(said).toMatchObject({ type: "initError", errorType: "Runtime.ImportModuleError" });
    await endOf(booted);
    await using second = await bootIt();
    expect(await second.init({ handler: "broken.handler" })).toMatchObject({
      type: "initError",
      errorType: "Runtime.UserCodeSyntaxError",
    });
  });
});

async function endOf(booted: Booted): Promise<number | null> {
  for (;;) {
    const said = await booted.next();
    if (said.type === "ended") return said.code;
  }
}
