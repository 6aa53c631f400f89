/** A runtime's real process, booted outside of any sandbox, and the worker's end of its channel. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { encodeBytecode, encodeHandOver } from "../../../actors/sandbox/bytecode.ts";
import {
  type EventHeader,
  encodeEvent,
  encodeInit,
  encodeShutdown,
  FrameDecoder,
  type RuntimeFrame,
} from "../../../actors/sandbox/frames.ts";
import type { RuntimeInit, ShutdownReason } from "../../../actors/sandbox/runtime-init.ts";

export const runtimesFolder = join(import.meta.dirname, "../../../actors/sandbox/runtimes");
export const nodeBootstrap = [process.execPath, join(runtimesFolder, "nodejs/bootstrap.cjs")];
/** MAYFLY_TEST_PYTHON chooses another interpreter than the system's. */
export const pythonBootstrap = pythonCommand(process.env.MAYFLY_TEST_PYTHON ?? "/usr/bin/python3");
/** For a function's own bootstrap; with a `client` in the init frame, for one of our runtimes. */
export const host = [process.execPath, join(runtimesFolder, "host/host.cjs")];

function pythonCommand(interpreter: string): string[] {
  return [interpreter, "-B", "-I", "-S", "-X", "utf8", join(runtimesFolder, "python/bootstrap.py")];
}

type Log = Extract<RuntimeFrame, { type: "log" }>;
/** What ends a wait: an answer of the runtime, or its process's end. */
export type Said = Exclude<RuntimeFrame, Log> | { type: "ended"; code: number | null; signal: string | null };

export interface Booted extends AsyncDisposable {
  readonly taskRoot: string;
  readonly logs: readonly Log[];
  /** What the process, or those its host started, wrote to stdout and stderr so far. */
  readonly printed: () => string;
  /** Sends the init frame; gives what the runtime answers to it. */
  init(changes?: Partial<RuntimeInit>): Promise<Said>;
  /** Sends what was kept of another life; to be followed by `init`. */
  keep(bytecode: Uint8Array): void;
  /** Asks for what is worth keeping; to be followed by `init`, whose first answer it is, where it doesn't fail. */
  askForBytecode(): void;
  /** Sends an event; gives the answer. */
  invoke(payload: unknown, changes?: Partial<EventHeader>): Promise<Said>;
  /** Sends an event as it is, also what is not JSON. */
  send(payload: Uint8Array, changes?: Partial<EventHeader>): Promise<Said>;
  /** Says that the sandbox ends. */
  shutDown(reason: ShutdownReason): void;
  /** Waits for the next thing the runtime says by itself. */
  next(): Promise<Said>;
  /** Waits until stdout and stderr together match. */
  printedLike(pattern: RegExp): Promise<RegExpExecArray>;
}

export const arn = "arn:aws:lambda:eu-west-1:000000000000:function:greet";

/** Boots `command` with the given files as the function's code. Files named `bootstrap` are made executable. */
export async function boot(command: readonly string[], files: Readonly<Record<string, string>>): Promise<Booted> {
  const taskRoot = await mkdtemp(join(tmpdir(), "mayfly-runtime-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(taskRoot, name)), { recursive: true });
    await writeFile(join(taskRoot, name), text);
    if (/(^|\/)(bootstrap|wrapper)$|^extensions\//.test(name)) await chmod(join(taskRoot, name), 0o755);
  }
  const child = spawn(command[0]!, command.slice(1), { env: {}, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const channel = child.stdio[3] as Duplex;
  const decoder = new FrameDecoder();
  const logs: Log[] = [];
  const said: Said[] = [];
  const waiting: ((thing: Said) => void)[] = [];
  const hear = (thing: Said) => {
    const next = waiting.shift();
    if (next) next(thing);
    else said.push(thing);
  };
  channel.on("data", (chunk: Buffer) => {
    const { frames, error } = decoder.push(chunk);
    for (const frame of frames) {
      if (frame.type === "log") written(frame);
      else hear(frame);
    }
    if (error) throw error;
  });
  channel.on("error", () => {});
  let output = "";
  const readers = new Set<() => void>();
  const print = (text: string) => {
    output += text;
    for (const read of readers) read();
  };
  /** What a host hands on of the processes it started has no level. */
  const written = (log: Log) => {
    logs.push(log);
    if (log.level === "NONE") print(`${log.text}\n`);
  };
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", print);
  const closed = once(child, "close") as Promise<[number | null, string | null]>;
  void closed.then(([code, signal]) => hear({ type: "ended", code, signal }));

  let requests = 0;
  const next = () => {
    const first = said.shift();
    return first ? Promise.resolve(first) : new Promise<Said>((resolve) => waiting.push(resolve));
  };
  const send = (payload: Uint8Array, changes: Partial<EventHeader> = {}) => {
    const requestId = `request-${++requests}`;
    const header = { requestId, deadlineMs: Date.now() + 20_000, invokedFunctionArn: arn, ...changes };
    channel.write(encodeEvent(header, payload));
    return next();
  };
  return {
    taskRoot,
    logs,
    printed: () => output,
    next,
    send,
    shutDown: (reason) => void channel.write(encodeShutdown({ reason, graceMs: 2000 })),
    keep: (bytecode) => void channel.write(encodeBytecode(bytecode)),
    askForBytecode: () => void channel.write(encodeHandOver()),
    invoke: (payload, changes) => send(Buffer.from(JSON.stringify(payload)), changes),
    init(changes = {}) {
      const init = { ...settings(taskRoot), ...changes };
      channel.write(encodeInit({ ...init, env: { ...lambdaNames(init), ...changes.env } }));
      return next();
    },
    printedLike: (pattern) =>
      new Promise((resolve) => {
        const read = () => {
          const match = pattern.exec(output);
          if (!match) return;
          readers.delete(read);
          resolve(match);
        };
        readers.add(read);
        read();
      }),
    async [Symbol.asyncDispose]() {
      channel.end();
      const timer = setTimeout(() => killWithChildren(child.pid!), 5_000);
      await closed;
      clearTimeout(timer);
      await rm(taskRoot, { recursive: true, force: true });
    },
  };
}

/** For a runtime that doesn't end by itself: a custom one's bootstrap leads a process group of its own. */
function killWithChildren(pid: number): void {
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean)) {
    process.kill(-Number(child), "SIGKILL");
  }
  process.kill(pid, "SIGKILL");
}

function settings(taskRoot: string): Omit<RuntimeInit, "env"> {
  return {
    handler: "index.handler",
    runtime: "nodejs24.x",
    taskRoot,
    functionName: "greet",
    functionVersion: "7",
    memoryMiB: 128,
    logFormat: "Text",
    runtimeApi: "127.0.0.1:0",
    layersRoot: taskRoot,
    accountId: "000000000000",
  };
}

/** What a runtime client refuses to live without. */
function lambdaNames(init: Omit<RuntimeInit, "env">): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    _HANDLER: init.handler,
    LAMBDA_TASK_ROOT: init.taskRoot,
    AWS_LAMBDA_FUNCTION_NAME: init.functionName,
    AWS_LAMBDA_FUNCTION_VERSION: init.functionVersion,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(init.memoryMiB),
    AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/greet",
    AWS_LAMBDA_LOG_STREAM_NAME: "2026/11/23/[7]0123456789abcdef0123456789abcdef",
  };
}

/** The JSON in an answer. */
export function bodyOf(said: Said): unknown {
  if (!("payload" in said)) throw new Error(`no payload in ${JSON.stringify(said)}`);
  return JSON.parse(said.payload.toString("utf8"));
}
