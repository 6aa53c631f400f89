/**
 * A sandbox's process: made by a driver, spoken to in frames. Everything of a sandbox that touches the world is in here.
 *
 * One callback actor lives as long as the sandbox. It hears boot, deliver, freeze, thaw and kill; it tells the machine what
 * the process said. When it ends, the enclosure is destroyed with everything in it.
 */
import { fromCallback } from "xstate";
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Call } from "../../subjects/worker.ts";
import { BytecodeOfLife } from "./bytecode.ts";
import type { Booted, Enclosure } from "./drivers/driver.ts";
import { encodeEvent, encodeInit, FrameDecoder, type RuntimeFrame } from "./frames.ts";
import { FunctionLog } from "./function-log.ts";
import { goneSoon, takeLeave } from "./leave-taking.ts";
import { type ProcessCommand, type SandboxEvent, type SandboxInput, sandboxMachine } from "./machine.ts";
import { lines } from "./output-lines.ts";
import { initError, MAX_RESPONSE_BYTES, responseTooLarge } from "./policy.ts";
import type { InitPhase, RuntimeInit, ShutdownReason } from "./runtime-init.ts";
import { enclosureFor, type Furnishing, type SandboxWorld } from "./world.ts";

const MIB = 1024 * 1024;
const MEMORY_SAMPLE_MS = 1000;

export const sandboxLogic = (world: SandboxWorld) =>
  sandboxMachine.provide({ actors: { process: processLogic(world) } });

const processLogic = (world: SandboxWorld) =>
  fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(({ input, sendBack, receive }) => {
    const process = new SandboxProcess(world, input, sendBack);
    receive((command) => {
      if (command.type === "boot") process.boot(command.spec, command.phase);
      else if (command.type === "deliver") process.deliver(command.call, command.payload, command.deadlineAt);
      else if (command.type === "freeze") process.freeze();
      else if (command.type === "thaw") process.thaw();
      else void process.kill(command.reason);
    });
    return () => {
      const gone = process.destroy().catch((error: unknown) => world.leftBehind(input, error));
      world.ending?.(gone);
    };
  });

class SandboxProcess {
  readonly #world: SandboxWorld;
  readonly #sandbox: SandboxInput;
  readonly #tell: (event: SandboxEvent) => void;
  readonly #log: FunctionLog;
  #enclosure: Enclosure | undefined;
  #furnishing: Furnishing | undefined;
  #booted: Booted | undefined;
  /** Of the latest life, where its runtime has any. */
  #bytecode: BytecodeOfLife | undefined;
  /** Settles when the last life is over, so that the next one never meets it. */
  #lastLife: Promise<unknown> = Promise.resolve();
  /** Counts boots and kills: a boot that is no longer the latest was killed while it was under way. */
  #turn = 0;
  #booting: Promise<void> = Promise.resolve();
  /** How the function's own process ended, when a host process inside reports it before it ends itself. */
  #ownExit: { code: number | null; signal: string | null } | undefined;
  #bootedUs = 0;
  #peakMiB = 0;
  #sampledMs = 0;
  #destroyed = false;
  /** The present life has extensions. */
  #lingers = false;
  /** What they are told when the sandbox goes. */
  #reason: ShutdownReason = "spindown";

  constructor(world: SandboxWorld, sandbox: SandboxInput, tell: (event: SandboxEvent) => void) {
    this.#world = world;
    this.#sandbox = sandbox;
    this.#log = new FunctionLog(world, sandbox, () =>
      this.#booted === undefined ? [] : [this.#booted.channel, this.#booted.stdout, this.#booted.stderr],
    );
    this.#tell = (event) => {
      if (!this.#destroyed) tell(event);
    };
  }

  boot(spec: FunctionSpec, phase: InitPhase): void {
    this.#turn += 1;
    this.#booting = this.#boot(spec, phase, this.#turn);
  }

  async #boot(spec: FunctionSpec, phase: InitPhase, turn: number): Promise<void> {
    const startedUs = this.#world.us();
    try {
      await this.#lastLife;
      this.#furnishing ??= await this.#world.furnish(spec, this.#sandbox.sandboxId);
      if (this.#destroyed) return await this.destroy();
      const kept = this.#furnishing.bytecode?.read();
      const place = enclosureFor(this.#sandbox.sandboxId, spec, this.#furnishing);
      // A network is made for one that needs it, not kept for one that may.
      const isSought = this.#enclosure === undefined && place.egress === undefined;
      const stem = isSought ? await this.#world.stems?.take(place) : undefined;
      this.#enclosure ??= stem?.enclosure ?? (await this.#world.driver.create(place));
      if (this.#destroyed) return await this.destroy();
      const booted = stem?.booted ?? (await this.#enclosure.boot());
      const bytecode = await kept;
      if (this.#destroyed) return await this.destroy();
      if (turn !== this.#turn) return await booted.kill();
      this.#lingers = this.#furnishing.lingers === true;
      this.#reason = "spindown";
      this.#live(booted, { ...this.#furnishing.init, phase }, bytecode);
      this.#bootedUs = this.#world.us();
      const createUs = Math.round(this.#bootedUs - startedUs);
      this.#tell({ type: "process.booted", createUs, fromStem: stem !== undefined, lingers: this.#lingers });
    } catch (error) {
      if (turn !== this.#turn) return;
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      this.#tell({
        type: "process.initFailed",
        error: { errorType: name, payload: JSON.stringify({ errorType: name, errorMessage: message }) },
      });
    }
  }

  deliver(call: Call, payload: Uint8Array, deadlineAt: number): void {
    this.#bytecode?.busy();
    this.#log.tail.start(call.tail);
    this.#booted?.channel.write(
      encodeEvent(
        {
          requestId: call.requestId,
          deadlineMs: deadlineAt,
          invokedFunctionArn: call.arn,
          ...(call.traceId === undefined ? {} : { traceId: call.traceId }),
          ...(call.clientContext === undefined
            ? {}
            : { clientContext: Buffer.from(call.clientContext, "base64").toString("utf8") }),
        },
        payload,
      ),
    );
  }

  /** One that can't be frozen computes on. */
  freeze(): void {
    this.#bytecode?.busy();
    this.#enclosure?.freeze().catch((error: unknown) => {
      if (!this.#destroyed) this.#world.leftBehind(this.#sandbox, error);
    });
  }

  /** Not waited for: an event that is delivered meanwhile is read as soon as somebody can. */
  thaw(): void {
    const booted = this.#booted;
    this.#enclosure?.thaw().catch(() => booted?.kill());
  }

  kill(reason: ShutdownReason): Promise<void> {
    const booted = this.#booted;
    this.#booted = undefined;
    this.#bytecode?.over({ crashed: false });
    const killed = booted === undefined ? Promise.resolve() : this.#end(booted, reason);
    this.#turn += 1;
    this.#lastLife = Promise.all([killed, this.#booting]);
    return killed.then(() => this.#tell({ type: "process.gone", us: this.#world.us() }));
  }

  #end(booted: Booted, reason: ShutdownReason): Promise<void> {
    return this.#lingers ? takeLeave(booted, reason) : booted.kill();
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    this.#bytecode?.over({ crashed: false });
    try {
      if (this.#booted !== undefined && this.#lingers) {
        await this.#enclosure?.thaw();
        await takeLeave(this.#booted, this.#reason);
      }
      await this.#enclosure?.destroy();
    } finally {
      this.#furnishing?.release();
    }
  }

  #live(booted: Booted, init: RuntimeInit, kept: Buffer | undefined): void {
    this.#booted = booted;
    const shelf = this.#furnishing?.bytecode;
    this.#bytecode = shelf && new BytecodeOfLife(shelf, kept, (frame) => void booted.channel.write(frame));
    const decoder = new FrameDecoder();
    booted.channel.on("data", (chunk: Buffer) => {
      const { frames, error } = decoder.push(chunk);
      for (const frame of frames) {
        if (this.#booted === booted) this.#heard(frame, booted);
        else if (frame.type === "log" && this.#lingers) this.#log.add(frame.text, frame.level);
      }
      if (error === null) return;
      this.#log.add(`${error.name}: ${error.message}`, "ERROR");
      void booted.kill();
    });
    booted.channel.on("error", () => {});
    lines(booted.stdout, (line) => this.#log.add(line, "NONE"));
    lines(booted.stderr, (line) => this.#log.add(line, "NONE"));
    void booted.exited.then((exit) => {
      if (this.#booted !== booted) return;
      this.#booted = undefined;
      const { code, signal } = this.#ownExit ?? exit;
      this.#bytecode?.over({ crashed: signal !== null });
      this.#ownExit = undefined;
      this.#tell({
        type: "process.exited",
        exit: { code, signal, outOfMemory: exit.outOfMemory },
        us: this.#world.us(),
        usage: this.#usage(),
      });
    });
    this.#bytecode?.begin();
    booted.channel.write(encodeInit(init));
  }

  #heard(frame: RuntimeFrame, booted: Booted): void {
    const us = this.#world.us();
    switch (frame.type) {
      case "ready":
        this.#bytecode?.ready();
        this.#sample();
        this.#lingers = frame.lingers === true;
        return this.#tell({ type: "process.ready", initUs: Math.round(us - this.#bootedUs), lingers: this.#lingers });
      case "settled":
        return this.#tell({ type: "process.settled", us });
      case "initError":
        this.#reason = "failure";
        return this.#tell({
          type: "process.initFailed",
          error: initError(frame.errorType, frame.payload.toString("utf8")),
        });
      case "response": {
        const { requestId, payload } = frame;
        this.#bytecode?.answered();
        const usage = this.#usage();
        if (payload.length > MAX_RESPONSE_BYTES) {
          return this.#tell({ type: "process.failed", requestId, error: responseTooLarge(), us, usage });
        }
        return this.#tell({ type: "process.responded", requestId, payload, us, usage });
      }
      case "error": {
        const error = { errorType: frame.errorType, payload: frame.payload.toString("utf8") };
        return this.#tell({ type: "process.failed", requestId: frame.requestId, error, us, usage: this.#usage() });
      }
      case "log":
        return this.#log.add(frame.text, frame.level);
      case "bytecode":
        return this.#bytecode?.heard(frame.payload);
      case "exit":
        this.#ownExit = { code: frame.code, signal: frame.signal };
        // Whether a kill was for its memory is known at the end only.
        if (this.#lingers && frame.signal !== "SIGKILL") this.#leftOthersBehind(booted, this.#ownExit, us);
        return;
    }
  }

  /** The function's own process has ended, and its extensions are being told by their host. */
  #leftOthersBehind(booted: Booted, exit: { code: number | null; signal: string | null }, us: number): void {
    this.#booted = undefined;
    this.#ownExit = undefined;
    const gone = goneSoon(booted);
    this.#lastLife = gone;
    this.#tell({
      type: "process.exited",
      exit: { ...exit, outOfMemory: false },
      us,
      usage: this.#usage(),
      lingers: true,
    });
    void gone.then(() => this.#tell({ type: "process.gone", us: this.#world.us() }));
  }

  #usage() {
    this.#log.tellMissing();
    if (Date.now() - this.#sampledMs > MEMORY_SAMPLE_MS) this.#sample();
    return { peakMemoryMiB: this.#peakMiB, tail: this.#log.tail.end() };
  }

  /** Reading the peak is slower than a warm invocation: once a second at most, and not waited for. */
  #sample(): void {
    this.#sampledMs = Date.now();
    this.#enclosure
      ?.stats()
      .then(({ peakMemoryBytes }) => {
        this.#peakMiB = Math.ceil(peakMemoryBytes / MIB);
      })
      .catch(() => {});
  }
}
