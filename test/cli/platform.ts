/** A server and a control plane for the verbs that need nothing else, with a function `hello` and one that is qualified. */
import { expect } from "vitest";
import {
  atRest,
  type Call,
  caller,
  expecting,
  ROLE,
  type RunningControlPlane,
  runControlPlane,
} from "../support/control-plane.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { HELLO_JS, zipOf } from "../support/zip.ts";
import { type Ran, type RunOptions, runCli } from "./run-cli.ts";

export interface Platform extends AsyncDisposable {
  readonly server: TestServer;
  readonly plane: RunningControlPlane;
  readonly call: Call;
  /** As the platform's credentials allow, or a person's. */
  mayfly(args: readonly string[], options?: RunOptions & { as?: "platform" | "mayfly" }): Promise<Ran>;
  /** Runs it with `--json`; it must succeed. */
  asked<T>(...args: string[]): Promise<T>;
  make(fn: string): Promise<void>;
}

export async function startPlatform(): Promise<Platform> {
  const server = await startTestServer();
  const plane = await runControlPlane(server);
  const call = caller(await server.connect("mayfly"));
  const ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
  const mayfly: Platform["mayfly"] = (args, { as = "platform", ...options } = {}) => {
    const { user, password } = server.credentials[as];
    const MAYFLY_NATS_URL = server.url.replace("://", `://${user}:${password}@`);
    return runCli(args, { ...options, env: { MAYFLY_NATS_URL, ...options.env } });
  };
  return {
    server,
    plane,
    call,
    mayfly,
    async asked(...args) {
      const { code, stdout, stderr } = await mayfly([...args, "--json"]);
      expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
      return JSON.parse(stdout);
    },
    async make(FunctionName) {
      const basics = { Role: ROLE, Runtime: "nodejs24.x", Handler: "index.handler", Code: { ZipFile } };
      await expecting(call)("CreateFunction", { FunctionName, ...basics });
      await atRest(call, FunctionName);
    },
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
