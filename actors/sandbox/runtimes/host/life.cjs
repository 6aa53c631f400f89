/**
 * One life of a function's processes, in Lambda's order: the extensions of the layers start and register, then the runtime
 * starts; init is over when it and all extensions have asked for an event. An invocation is over when the runtime and the
 * extensions that take part have asked for the next. At the end the runtime goes first, then the extensions are told.
 *
 * Without extensions, which is the rule, nothing is waited for and the end comes at once.
 */
"use strict";

const { basename, join } = require("node:path");
const { parseEvent } = require("../nodejs/channel.cjs");
const { startClient } = require("./client.cjs");
const { ExtensionsApi, maxExtensions } = require("./extensions-api.cjs");
const { start } = require("./processes.cjs");
const { bootstrapProgram, extensionEnvironment, extensionPrograms } = require("./programs.cjs");
const { Reports } = require("./reports.cjs");
const { claimedErrorType, RuntimeApi } = require("./runtime-api.cjs");
const { listen } = require("./server.cjs");
const { TelemetryApi } = require("./telemetry-api.cjs");

/** Source: Lambda developer guide, "Shutdown phase"; the runtime's part of it as in the runtime interface emulator. */
const externalGraceMs = 2000;
const internalGraceMs = 500;
const runtimeShare = 0.3;
const flushShare = 0.1;

class Life {
  #channel;
  #added;
  #init = null;
  #env = {};
  #extensions = null;
  #telemetry = null;
  #reports = null;
  /** Processes: the runtime's, and by extension. */
  #runtime = null;
  #programs = new Map();
  #offer = () => {};
  #phase = "starting";
  /** The header of the invocation that runs, answered or not. */
  #running = null;
  #isAnswered = false;
  /** The runtime waits for an event. */
  #isIdle = false;

  /** `added`: the program of a runtime that was added to this host; without it the function or a layer brings one. */
  constructor(channel, added) {
    this.#channel = channel;
    this.#added = added;
  }

  async begin(init) {
    this.#init = init;
    const { accountId, functionName, functionVersion, handler } = init;
    this.#extensions = new ExtensionsApi(
      { functionName, functionVersion, handler, accountId },
      { changed: () => this.#progress(), failed: (type, message) => this.#fail(type, message) },
    );
    this.#telemetry = new TelemetryApi(this.#extensions);
    this.#reports = new Reports(this.#telemetry, init);
    const api = init.client ? null : new RuntimeApi(this.#heardOverHttp());
    const address = await listen(init.runtimeApi ?? "127.0.0.1:9001", [api, this.#extensions, this.#telemetry]);
    if (api) this.#offer = (_, event) => api.offer(event);
    this.#env = { ...init.env, AWS_LAMBDA_RUNTIME_API: address };
    this.#reports.initStart();
    for (const path of extensionPrograms(init.layersRoot ?? "/opt")) this.#launch(path);
    this.#progress();
  }

  invoke(body) {
    const event = parseEvent(body);
    const { header } = event;
    this.#running = header;
    this.#isAnswered = false;
    this.#isIdle = false;
    this.#reports.start(header);
    if (this.#extensions.all().length > 0) this.#extensions.tell(invokeEvent(header));
    this.#offer(body, event);
  }

  /** Ends everything within `graceMs`, and this process with `exitCode`. */
  async shutDown(reason, graceMs, exitCode) {
    if (this.#phase === "ending") return;
    this.#phase = "ending";
    this.#reports?.cutShort(reason);
    const internalOnly = this.#programs.size === 0;
    const budgetMs = internalOnly ? Math.min(internalGraceMs, graceMs) : graceMs;
    if (!this.#extensions?.all().length) return this.stop(exitCode);
    const deadlineMs = Date.now() + budgetMs;
    if (this.#runtime && !this.#runtime.isGone()) {
      this.#runtime.signal("SIGTERM");
      await settledWithin([this.#runtime.gone], internalOnly ? budgetMs : budgetMs * runtimeShare);
      this.#runtime.signal("SIGKILL");
    }
    await settledWithin([this.#telemetry.flush()], budgetMs * flushShare);
    this.#extensions.tell({ eventType: "SHUTDOWN", shutdownReason: reason, deadlineMs });
    for (const [extension, program] of this.#programs) {
      if (!extension.subscribed.includes("SHUTDOWN")) program.signal("SIGKILL");
    }
    await settledWithin(
      [...this.#programs.values()].map(({ gone }) => gone),
      deadlineMs - Date.now(),
    );
    this.stop(exitCode);
  }

  /** Ends everything at once. */
  stop(exitCode) {
    this.#phase = "ending";
    for (const each of [this.#runtime, ...this.#programs.values()]) each?.signal("SIGKILL");
    process.exit(exitCode);
  }

  #launch(path) {
    if (this.#phase === "ending") return;
    const extension = this.#extensions.expect(basename(path));
    if (!extension) return this.#fail("Extension.LaunchError", `Extension limit (${maxExtensions}) reached`);
    const program = start(
      [path],
      { cwd: "/", env: extensionEnvironment(this.#env) },
      {
        line: (text) => this.#line("extension", text),
        failed: (error) => {
          extension.state = "LaunchError";
          this.#fail("Extension.LaunchError", `${path}: ${error.message}`);
        },
        exited: (code, signal) => {
          extension.state = "Exited";
          this.#fail("Extension.Crash", howItEnded(code, signal));
        },
      },
    );
    this.#programs.set(extension, program);
  }

  /** Goes on where nothing is waited for any more. */
  #progress() {
    const isOver = this.#running && this.#isAnswered && this.#isIdle && this.#extensions.allReady;
    if (this.#phase === "starting" && this.#extensions.allRegistered) this.#startRuntime();
    else if (this.#phase === "initialising" && this.#isIdle && this.#extensions.allReady) this.#serve();
    else if (this.#phase === "serving" && isOver) {
      this.#running = null;
      this.#reports.report();
      if (this.#extensions.all().length > 0) this.#channel.settled();
    }
  }

  #startRuntime() {
    this.#phase = "initialising";
    const { client, taskRoot, layersRoot = "/opt" } = this.#init;
    const options = { cwd: taskRoot, env: this.#env };
    if (client) return this.#startClient(client, options);
    let path;
    const refuse = (error) => this.#fail("Runtime.InvalidEntrypoint", error.message, 1);
    try {
      path = bootstrapProgram(
        this.#added ? [this.#added] : [join(taskRoot, "bootstrap"), join(layersRoot, "bootstrap")],
      );
    } catch (error) {
      return refuse(error);
    }
    // As on Lambda, a bootstrap that comes with the function is nothing to wrap.
    const wrapper = this.#added && this.#env.AWS_LAMBDA_EXEC_WRAPPER;
    const failed = wrapper ? this.#failedToWrap(wrapper) : (error) => refuse(new Error(`${path}: ${error.message}`));
    this.#runtime = start(wrapper ? [wrapper, path] : [path], options, { ...this.#heardOfRuntime(), failed });
  }

  #failedToWrap(wrapper) {
    return (error) => {
      this.#line("function", `${wrapper}: ${error.message}`);
      this.#runtimeExited(127, null);
    };
  }

  #startClient(client, options) {
    const wrapper = this.#env.AWS_LAMBDA_EXEC_WRAPPER;
    const command = wrapper ? [wrapper, ...client] : client;
    const { env: _, ...settings } = this.#init;
    const { process, offer } = startClient(command, options, settings, this.#channel, {
      ...this.#heardOfRuntime(),
      failed: this.#failedToWrap(command[0]),
      ready: () => this.#runtimeIdle(),
      initError: (type) => this.#reports.initRuntimeDone(claimedErrorType(type)),
      streamed: (bytes) => this.#reports.streamed(bytes),
      answered: (errorType, bytes) => {
        this.#answered(errorType === null ? null : claimedErrorType(errorType), bytes);
        this.#runtimeIdle();
      },
      log: (text) => this.#telemetry.line("function", text),
    });
    this.#runtime = process;
    this.#offer = offer;
  }

  #serve() {
    this.#phase = "serving";
    this.#reports.initReport(this.#extensions.all());
    this.#telemetry.close();
    if (this.#extensions.all().length > 0) this.#channel.readyAndLingering();
    else this.#channel.ready();
  }

  #heardOfRuntime() {
    return {
      line: (text) => this.#line("function", text),
      exited: (code, signal) => this.#runtimeExited(code, signal),
    };
  }

  #heardOverHttp() {
    // What the runtime printed before it answered may be read after the answer in this turn of the loop, not in the next.
    const afterOutput = (act) => setImmediate(() => this.#phase !== "ending" && act());
    return {
      next: () => this.#runtimeIdle(),
      initError: (type, body) =>
        afterOutput(() => {
          this.#reports.initRuntimeDone(type);
          this.#channel.initError(type, body);
        }),
      chunk: (id, contentType, bytes, done) => {
        if (this.#phase === "ending") return done();
        this.#reports.streamed(bytes.length);
        this.#channel.chunk(id, contentType, bytes, done);
      },
      response: (id, contentType, bytes) =>
        afterOutput(() => {
          this.#answered(null, bytes.length);
          this.#channel.response(id, contentType, bytes);
        }),
      error: (id, type, bytes) =>
        afterOutput(() => {
          this.#answered(type, bytes.length);
          this.#channel.error(id, type, bytes);
        }),
    };
  }

  #answered(errorType, bytes) {
    this.#isAnswered = true;
    this.#reports.answered(errorType, bytes);
  }

  #runtimeIdle() {
    this.#isIdle = true;
    if (this.#phase === "serving") this.#reports.runtimeDone();
    else {
      this.#extensions.close();
      this.#reports.initRuntimeDone(null);
    }
    this.#progress();
  }

  #runtimeExited(code, signal) {
    if (this.#phase === "ending") return;
    this.#reports.failed("Runtime.ExitError");
    this.#channel.exit(code, signal);
    this.shutDown("failure", externalGraceMs, code ?? 1);
  }

  /** The whole sandbox has failed: the caller, if one waits, is told why. */
  #fail(errorType, reason, exitCode = 1) {
    if (this.#phase === "ending") return;
    const requestId = this.#running?.requestId ?? this.#init.requestId ?? "";
    const body = JSON.stringify({ errorType, errorMessage: `RequestId: ${requestId} Error: ${reason}` });
    this.#reports.failed(errorType);
    if (this.#phase !== "serving") this.#channel.initError(errorType, body);
    else if (this.#running && !this.#isAnswered) this.#channel.error(requestId, errorType, body);
    this.shutDown("failure", externalGraceMs, exitCode);
  }

  #line(kind, text) {
    this.#telemetry.line(kind, text);
    this.#channel.log(0, Date.now(), this.#running?.requestId ?? "", text);
  }
}

/** What an extension is told: everything but the payload. */
function invokeEvent({ requestId, deadlineMs, invokedFunctionArn, traceId }) {
  return {
    eventType: "INVOKE",
    deadlineMs: Math.trunc(deadlineMs),
    requestId,
    invokedFunctionArn,
    ...(traceId ? { tracing: { type: "X-Amzn-Trace-Id", value: traceId } } : {}),
  };
}

function settledWithin(promises, ms) {
  const late = new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  return Promise.race([Promise.allSettled(promises), late]);
}

function howItEnded(code, signal) {
  if (signal) return `signal: ${signal === "SIGKILL" ? "killed" : signal.slice(3).toLowerCase()}`;
  return code === 0 ? "exit code 0" : `exit status ${code}`;
}

module.exports = { Life };
