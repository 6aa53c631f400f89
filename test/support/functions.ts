/** Deploying functions in tests as an API client does, without the CLI. */
import type { NatsConnection } from "nats";
import { UserApi } from "../../subjects/api.ts";
import { ERROR } from "../../subjects/headers.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { zipOf } from "./zip.ts";

export interface FunctionPlan {
  readonly name: string;
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly runtime?: string;
  readonly handler?: string;
  readonly memory?: number;
  /** Seconds. */
  readonly timeout?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** ARNs. */
  readonly layers?: readonly string[];
}

export const ROLE = `arn:aws:iam::${DEFAULT_ACCOUNT}:role/test`;

/** The operation's answer. Throws an Error with the refusal's name and words. */
export async function api(
  connection: NatsConnection,
  operation: string,
  body: object,
): Promise<Record<string, unknown>> {
  const reply = await connection.request(UserApi.subject({ operation }), JSON.stringify(body), { timeout: 20_000 });
  const error = reply.headers?.get(ERROR);
  if (error) throw new Error(error);
  return reply.json();
}

/** Resolves when the function is Active. */
export async function deploy(connection: NatsConnection, plan: FunctionPlan): Promise<void> {
  const { name, files, runtime = "nodejs24.x", handler = "index.handler", memory = 128, timeout = 3 } = plan;
  await api(connection, "CreateFunction", {
    FunctionName: name,
    Role: ROLE,
    Runtime: runtime,
    Handler: handler,
    MemorySize: memory,
    Timeout: timeout,
    Environment: { Variables: plan.environment ?? {} },
    Layers: plan.layers ?? [],
    Code: { ZipFile: (await zipOf(files)).toString("base64") },
  });
  await settled(connection, name);
}

/** Applies a change of configuration and waits until invokes run it. */
export async function configure(connection: NatsConnection, name: string, change: object): Promise<void> {
  await api(connection, "UpdateFunctionConfiguration", { FunctionName: name, ...change });
  await settled(connection, name);
}

const SETTLED_MS = 30_000;

/** Waits as Lambda's own waiters do: asks until nothing is pending. Throws with the last state seen when it never is. */
export async function settled(connection: NatsConnection, name: string): Promise<void> {
  const deadline = performance.now() + SETTLED_MS;
  for (;;) {
    const { State, LastUpdateStatus, StateReason } = await api(connection, "GetFunctionConfiguration", {
      FunctionName: name,
    });
    if (State === "Failed") throw new Error(`${name} failed: ${StateReason}`);
    if (State === "Active" && LastUpdateStatus !== "InProgress") return;
    if (performance.now() > deadline) throw new Error(`${name} stays ${State}, last update ${LastUpdateStatus}`);
  }
}

export const HELLO_NODE = {
  "index.mjs": "export const handler = async (event) => ({ message: `Hello, ${event.name ?? 'world'}!` });\n",
};
export const HELLO_PYTHON = {
  "index.py": "def handler(event, context):\n    return {'message': f\"Hello, {event.get('name', 'world')}!\"}\n",
};
