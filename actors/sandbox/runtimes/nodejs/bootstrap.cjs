/**
 * The Node.js runtime: becomes a function when the init frame arrives, then answers one event after another.
 * It behaves as Lambda's does, with these differences: callback handlers work in every version, and a handler without
 * `async` may return its result.
 */
"use strict";

const { Bytecode } = require("./bytecode.cjs");
const { Channel, maxPayloadBytes, parseEvent } = require("./channel.cjs");
const { patchConsole } = require("./console.cjs");
const { createContext } = require("./context.cjs");
const { RuntimeError, toErrorBody, toErrorLog } = require("./errors.cjs");
const { loadHandler } = require("./handler.cjs");
const { awslambda, isStreaming, tooLarge } = require("./streaming.cjs");

const noBytes = Buffer.alloc(0);
const neverSettled =
  "The event loop ran empty while a promise was still waiting: nothing is left that could settle it.";

/** Whoever is told nothing for so long was booted beforehand, and has the time. */
const unhurriedMs = 20;

/** @type {"booted" | "initialising" | "serving"} */
let phase = "booted";
let init;
/** A copy of what came before the init frame: the worker keeps bytecode of this function, or wants to. */
let keptBytecode;
let isBytecodeWanted = false;
let handler;
/** How a streaming handler is run; undefined where it is none. */
let runStreaming;
let logError = (_title, error) => console.error(error);
/** The invocation that runs: `{header, context, settled, atEmptyLoop}`; null between two. */
let running = null;
/** The header of the latest event: what is logged late still belongs to it. */
let latest = null;
let traceId;

const channel = new Channel(3, onFrame, () => process.exit(0));
const preparing = setTimeout(prepare, unhurriedMs);

process.on("uncaughtException", (error) => crash("Uncaught Exception", error, 129));
process.on("unhandledRejection", (reason) => {
  const cause = typeof reason === "object" ? reason : undefined;
  const error = new RuntimeError("Runtime.UnhandledPromiseRejection", describe(reason), cause);
  crash("Unhandled Promise Rejection", error, 128);
});
process.on("beforeExit", () => {
  if (phase === "initialising") crash("Init Error", new RuntimeError("Runtime.NodeJsExit", neverSettled), 129);
  if (running) finish(running, ...(running.atEmptyLoop ?? [new RuntimeError("Runtime.NodeJsExit", neverSettled)]));
});

function onFrame(type, body) {
  if (type === 0x02) invoke(parseEvent(body));
  else if (type === 0x01) begin(JSON.parse(body));
  else if (type === 0x04) keptBytecode = Buffer.from(body);
  else if (type === 0x05) isBytecodeWanted = true;
  else throw new Error(`unknown frame type ${type}`);
}

/** Does once what every function begins with, so that it is at hand. Nothing of it is a function's. */
function prepare() {
  listenAt("127.0.0.1:0", () => {})?.close();
  loadHandler(__dirname, "prepared.handler").catch(() => {});
}

async function begin(settings) {
  clearTimeout(preparing);
  init = settings;
  phase = "initialising";
  const bell = init.env ? listenAt(init.runtimeApi ?? "127.0.0.1:9001", () => channel.hostWanted()) : null;
  if (init.env) becomeOf(bell ? { ...init.env, AWS_LAMBDA_RUNTIME_API: bell.address } : init.env);
  process.chdir(init.taskRoot);
  const current = () => latest;
  patchConsole(init, current, (level, at, text) => channel.log(level, at, latest?.requestId ?? "", text));
  const consoleError = console.error;
  logError = (title, error) =>
    init.logFormat === "JSON" ? consoleError(error) : consoleError(title, `\t${toErrorLog(error)}`);
  globalThis.awslambda = awslambda;
  channel.unref();
  const folders = [init.taskRoot, init.layersRoot ?? "/opt"];
  const bytecode =
    keptBytecode || isBytecodeWanted ? new Bytecode(keptBytecode ?? noBytes, folders, maxPayloadBytes) : null;
  keptBytecode = undefined;
  try {
    handler = await loadHandler(init.taskRoot, init.handler, bytecode?.import.bind(bytecode));
    if (isStreaming(handler)) ({ runStreaming } = require("./response-stream.cjs"));
  } catch (error) {
    crash("Init Error", error, 129);
  }
  channel.ref();
  if (bell) {
    // Who has begun to connect is heard in the turn after the next.
    await turnOfLoop();
    await turnOfLoop();
    bell.close();
  }
  if (isBytecodeWanted) handOver(bytecode);
  phase = "serving";
  channel.ready();
}

/**
 * Listens where Lambda's APIs are promised, while the function initialises, and answers nobody: that something connects is
 * told, so that a host can be started that does. `rung` is called at most once. Gives where it listens, and how it ends;
 * null where nothing can be listened to.
 *
 * Of `net` only what is beneath it is used: a server of its own takes milliseconds, most of them for clusters. And this is
 * here because a module of its own takes 50 KiB of every sandbox.
 */
function listenAt(address, rung) {
  const colon = address.lastIndexOf(":");
  let handle;
  try {
    const { TCP, constants } = process.binding("tcp_wrap");
    handle = new TCP(constants.SERVER);
  } catch {
    return null;
  }
  // Whoever connects waits, as for a server that is slow.
  const waiting = [];
  handle.onconnection = (_, client) => {
    waiting.push(client);
    if (waiting.length === 1) rung();
  };
  handle.unref();
  const close = () => handle.close();
  const name = {};
  const failed =
    handle.bind(address.slice(0, colon), Number(address.slice(colon + 1))) ||
    handle.listen(16) ||
    handle.getsockname(name);
  if (!failed) return { address: `${name.address}:${name.port}`, close };
  close();
  return null;
}

const turnOfLoop = () => new Promise((resolve) => setImmediate(resolve));

/** Before the first event, so that no event has a part in it. */
function handOver(bytecode) {
  let piece = noBytes;
  try {
    piece = bytecode.collect();
  } catch {
    // Then there is none: nobody depends on it.
  }
  channel.bytecode(piece);
}

/** Where a host started this process, it has its environment already: a wrapper may have changed it. */
function becomeOf(env) {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  if (env.NODE_COMPILE_CACHE) require("node:module").enableCompileCache?.(env.NODE_COMPILE_CACHE);
  if (env.NODE_OPTIONS?.trim() === "--enable-source-maps") process.setSourceMapsEnabled(true);
}

function invoke({ header, payload }) {
  if (running) throw new Error("an event came while another was being answered");
  const run = { header, context: null, settled: false, atEmptyLoop: null };
  running = run;
  latest = header;
  if (header.traceId !== traceId) {
    traceId = header.traceId;
    if (traceId === undefined) delete process.env._X_AMZN_TRACE_ID;
    else process.env._X_AMZN_TRACE_ID = traceId;
  }
  // While the handler runs, waiting for the next event doesn't keep the loop alive: that's how its emptiness is seen.
  channel.unref();
  const settle = (error, result) => finish(run, error, result);
  try {
    const event = JSON.parse(payload.toString("utf8"));
    run.context = createContext(init, header, settle);
    if (runStreaming !== undefined) {
      runStreaming(handler, event, run, channel).then((response) => finish(run, null, null, response), settle);
      return;
    }
    const returned = handler(event, run.context, (error, result) => {
      run.atEmptyLoop ??= [error ?? null, result];
      if (!run.context.callbackWaitsForEmptyEventLoop) finish(run, ...run.atEmptyLoop);
    });
    if (typeof returned?.then === "function") returned.then((result) => finish(run, null, result), settle);
    else if (handler.length < 3 && (returned !== undefined || endsOnReturn())) finish(run, null, returned);
  } catch (error) {
    finish(run, error ?? String(error));
  }
}

/** From Node.js 24 on, a handler without callback has ended when it returns; before, when the loop is empty. */
function endsOnReturn() {
  return Number.parseInt(process.versions.node, 10) >= 24;
}

/** Answers the invocation; the first answer counts. `error` is null on success. */
function finish(run, error, result, streamed) {
  if (run.settled) return;
  run.settled = true;
  running = null;
  channel.ref();
  const { requestId } = run.header;
  if (error !== null) return sendError(requestId, error);
  if (streamed) return sendResponse(requestId, streamed.contentType, streamed.payload);
  let payload;
  try {
    payload = JSON.stringify(result) ?? "null";
  } catch (cause) {
    const message = "Unable to stringify response body";
    return sendError(requestId, new RuntimeError("Runtime.JSONStringifyError", message, cause));
  }
  sendResponse(requestId, "", payload);
}

function sendResponse(requestId, contentType, payload) {
  // A character has three bytes in UTF-8 at most, so that short texts needn't be counted.
  const mayBeTooLarge = payload.length * 3 > maxPayloadBytes;
  if (mayBeTooLarge && Buffer.byteLength(payload) > maxPayloadBytes) {
    const { name: errorType, message: errorMessage } = tooLarge();
    return channel.error(requestId, errorType, JSON.stringify({ errorMessage, errorType }));
  }
  channel.response(requestId, contentType, payload);
}

function sendError(requestId, error) {
  logError("Invoke Error", error);
  const body = toErrorBody(error);
  channel.error(requestId, body.errorType, JSON.stringify(body));
}

/** The end of this process: tells the caller why, if one waits. */
function crash(title, error, exitCode) {
  logError(title, error);
  const body = toErrorBody(error);
  if (running) channel.error(running.header.requestId, body.errorType, JSON.stringify(body));
  else if (phase === "initialising") channel.initError(body.errorType, JSON.stringify(body));
  process.exit(exitCode);
}

function describe(reason) {
  try {
    return String(reason);
  } catch {
    return typeof reason;
  }
}
