/**
 * A sandbox's process: made by a driver, spoken to in frames. Everything of a sandbox that touches the world is in here.
 *
 * One callback actor lives as long as the sandbox: it does what the machine tells the process, and tells what that says. When
 * it ends, the enclosure is destroyed with everything in it.
 */
import { fromCallback } from "xstate";
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Call } from "../../subjects/worker.ts";
import { answerOf, bootedOf, notMadeOf } from "./answer.ts";
import { type BytecodeOfLife, beginWithBytecode } from "./bytecode.ts";
import { lacksHost, watchForCallers } from "./callers.ts";
import { type Booted, BootFailed, type Enclosure } from "./drivers/driver.ts";
import { eventHeader } from "./event-header.ts";
import { encodeEvent, encodeInit, FrameDecoder, type FrameError, type RuntimeFrame } from "./frames.ts";
import { FunctionLog } from "./function-log.ts";
import { goneSoon, takeLeave } from "./leave-taking.ts";
import { type ProcessCommand, type SandboxEvent, type SandboxInput, sandboxMachine } from "./machine.ts";
import { PeakMemory } from "./peak-memory.ts";
import { BootTimedOut } from "./policy.ts";
import { ResponseStreams, unwantedChunk } from "./response-stream.ts";
import type { RuntimeInit, ShutdownReason } from "./runtime-init.ts";
import type { Begun } from "./sandbox.ts";
import { readToItsEnd, Tap } from "./tap.ts";
import { enclosureFor, type Furnishing, type SandboxWorld } from "./world.ts";

export const sandboxLogic = (world: SandboxWorld) =>
  sandboxMachine.provide({ actors: { process: processLogic(world) } });

const processLogic = (world: SandboxWorld) =>
  fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(({ input, sendBack, receive }) => {
    const process = new SandboxProcess(world, input, sendBack);
    receive((command) => {
      if (command.type === "boot") process.boot(command.spec, command.call);
      else if (command.type === "giveUp") process.giveUp();
      else if (command.type === "deliver") process.deliver(command.call, command.payload, command.deadlineAt);
      else if (command.type === "freeze") process.freeze();
      else if (command.type === "thaw") process.thaw();
      else if (command.type === "kill") void process.kill(command.reason);
      else process.streams.heard(command);
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
  /** What a boot waits for, in words for the worker's log. */
  #awaited = "";
  /** How the function's own process ended, when a host process inside reports it before it ends itself. */
  #ownExit: { code: number | null; signal: string | null } | undefined;
  #tap: Tap | undefined;
  readonly streams: ResponseStreams;
  #bootedUs = 0;
  readonly #peak = new PeakMemory();
  #destroyed = false;
  /** How the present life began, until its init is over. */
  #begun: Begun | undefined;
  /** The function was seen to ask for what only a host serves. */
  #wantsHost = false;
  /** The present life has extensions. */
  #lingers = false;

  constructor(world: SandboxWorld, sandbox: SandboxInput, tell: (event: SandboxEvent) => void) {
    this.#world = world;
    this.#sandbox = sandbox;
    this.#log = new FunctionLog(world, sandbox, () => this.#tap);
    this.#tell = (event) => {
      if (!this.#destroyed) tell(event);
    };
    this.streams = new ResponseStreams(world, this.#tell);
  }

  /** `call` is the one inside whose time it boots, if there is one. */
  boot(spec: FunctionSpec, call: Call | null): void {
    this.#turn += 1;
    this.#booting = this.#boot({ spec, call, turn: this.#turn, startedUs: this.#world.us() });
  }

  async #boot(begun: Begun): Promise<void> {
    const { spec, call, turn } = begun;
    try {
      this.#awaited = "its code and runtime";
      await this.#lastLife;
      if (this.#furnishing?.isThere?.() === false) throw new BootFailed("its code was removed");
      this.#furnishing ??= await this.#world.furnish(spec, this.#sandbox.sandboxId, this.#wantsHost);
      if (this.#destroyed) return await this.destroy();
      const kept = this.#furnishing.bytecode?.read();
      const place = enclosureFor(this.#sandbox.sandboxId, spec, this.#furnishing);
      // A network is made for one that needs it, not kept for one that may.
      this.#awaited = "its place";
      const isSought = this.#enclosure === undefined && place.egress === undefined;
      const stem = isSought ? await this.#world.stems?.take(place) : undefined;
      this.#enclosure ??= stem?.enclosure ?? (await this.#world.driver.create(place));
      if (this.#destroyed) return await this.destroy();
      this.#awaited = "its process to begin there";
      const booted = stem?.booted ?? (await this.#enclosure.boot());
      const bytecode = await kept;
      if (this.#destroyed) return await this.destroy();
      if (turn !== this.#turn) return await booted.kill();
      this.#lingers = this.#furnishing.lingers === true;
      this.#log.tail.begin(call === null || call.tail);
      const again = call === null ? {} : { phase: "invoke" as const, requestId: call.requestId };
      const { init } = this.#furnishing;
      this.#begun = begun;
      this.#live(booted, { ...init, ...again }, bytecode);
      const us = this.#world.us();
      if (begun.isSecond) return;
      this.#bootedUs = us;
      this.#tell(bootedOf(begun, init, { us, fromStem: stem !== undefined, lingers: this.#lingers }));
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#notMade(error);
    }
  }

  giveUp(): void {
    this.#world.hostFailed(this.#sandbox, new BootTimedOut(`it waited for ${this.#awaited}`));
  }

  #notMade(cause: unknown): void {
    const why = notMadeOf(cause, this.#world.us(), this.#usage());
    if (why.type === "process.notMade" && !this.#destroyed) this.#world.hostFailed(this.#sandbox, cause);
    this.#tell(why);
  }

  /**
   * Something in the function asks, while it initialises, for the APIs that only a host serves. As part of the same init it
   * begins anew in a place that has one; what the first attempt left in /tmp goes with it.
   */
  async #bootWithHost(begun: Begun): Promise<void> {
    const [enclosure, furnishing] = [this.#enclosure, this.#furnishing];
    this.#wantsHost = true;
    this.#booted = undefined;
    await enclosure?.destroy().catch((error: unknown) => this.#world.leftBehind(this.#sandbox, error));
    furnishing?.release();
    this.#enclosure = undefined;
    this.#furnishing = undefined;
    if (begun.turn === this.#turn && !this.#destroyed) await this.#boot({ ...begun, isSecond: true });
  }

  deliver(call: Call, payload: Uint8Array, deadlineAt: number): void {
    this.#log.tail.event(call.tail);
    this.streams.begin(call);
    this.#booted?.channel.write(encodeEvent(eventHeader(call, deadlineAt), payload));
  }

  /** One that can't be frozen computes on. */
  freeze(): void {
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
    this.streams.drop();
    this.#bytecode?.over({ failed: reason === "timeout" });
    const killed = this.#lingers && booted !== undefined ? takeLeave(booted, reason) : Promise.resolve(booted?.kill());
    this.#turn += 1;
    this.#lastLife = Promise.all([killed, this.#booting]);
    return killed.then(() => this.#tell({ type: "process.gone", us: this.#world.us() }));
  }

  /** It is heard no more from now on, and gone when there is time for that. */
  async destroy(): Promise<void> {
    this.#destroyed = true;
    this.streams.drop();
    this.#bytecode?.over({ failed: false });
    await this.#world.makeWay?.();
    try {
      if (this.#booted !== undefined && this.#lingers) {
        await this.#enclosure?.thaw();
        await takeLeave(this.#booted, "spindown");
      }
      await this.#enclosure?.destroy();
    } finally {
      this.#furnishing?.release();
    }
  }

  #live(booted: Booted, init: RuntimeInit, kept: Buffer | undefined): void {
    this.#booted = booted;
    const mayMake = init.phase === undefined;
    this.#bytecode = beginWithBytecode(this.#furnishing?.bytecode, kept, booted.channel, mayMake);
    const decoder = new FrameDecoder();
    const tap = new Tap([booted.channel, booted.stdout, booted.stderr]);
    this.#tap = tap;
    this.streams.drop();
    booted.channel.on("data", (chunk: Buffer) => {
      const { frames, error } = decoder.push(chunk);
      for (const frame of frames) {
        if (this.#booted === booted) this.#heard(frame, booted);
        else if (frame.type === "log" && this.#lingers) this.#log.add(frame.text, frame.level);
      }
      if (this.#booted === booted) this.streams.forward(tap);
      if (error !== null) this.#unreadable(error, booted);
    });
    booted.channel.on("error", () => {});
    const lastWord = this.#log.follow(booted);
    void booted.exited.then(async (exit) => {
      if (this.streams.isUnderWay && this.#booted === booted) await readToItsEnd(booted.channel);
      if (this.#booted !== booted) return;
      this.#booted = undefined;
      // It stood, as far as could be told, and its program was never reached: what it was to be shown may be gone.
      if (!exit.started && exit.code !== null && this.#begun !== undefined)
        return this.#notMade(new BootFailed(lastWord() || "it ended before its program began"));
      const { code, signal } = this.#ownExit ?? exit;
      this.#ownExit = undefined;
      this.#bytecode?.over({ failed: signal !== null });
      const how = { exit: { code, signal, outOfMemory: exit.outOfMemory }, us: this.#world.us(), usage: this.#usage() };
      this.#tell({ type: "process.exited", ...how });
    });
    booted.channel.write(encodeInit(init));
    const isInit = () => this.#booted === booted && this.#begun !== undefined;
    if (lacksHost(this.#furnishing)) watchForCallers(booted, init, isInit, () => this.#callHost());
  }

  #callHost(): void {
    if (this.#begun && lacksHost(this.#furnishing)) this.#booting = this.#bootWithHost(this.#begun);
  }

  #unreadable({ name, message }: FrameError, booted: Booted): void {
    this.#log.add(`${name}: ${message}`, "ERROR");
    // What else it says isn't listened to.
    booted.channel.removeAllListeners("data").resume();
    void booted.kill();
  }

  #heard(frame: RuntimeFrame, booted: Booted): void {
    const us = this.#world.us();
    switch (frame.type) {
      case "hostWanted":
        return this.#callHost();
      case "ready":
        this.#bytecode?.ready();
        this.#begun = undefined;
        this.#peak.sample(this.#enclosure);
        this.#lingers = frame.lingers === true;
        return this.#tell({ type: "process.ready", initUs: Math.round(us - this.#bootedUs), lingers: this.#lingers });
      case "settled":
        return this.#tell({ type: "process.settled", us });
      case "initError":
        return this.#tell(answerOf(frame, us, this.#usage()));
      case "chunk":
        return this.streams.add(frame) ? undefined : this.#unreadable(unwantedChunk, booted);
      case "response":
      case "error":
        this.streams.end(frame.requestId);
        return this.#tell(answerOf(frame, us, this.#usage()));
      case "log":
        return this.#log.add(frame.text, frame.level);
      case "bytecode":
        return this.#bytecode?.heard(frame.payload);
      case "exit":
        this.#ownExit = { code: frame.code, signal: frame.signal };
        // Whether a kill was for its memory is known at the end only.
        if (this.#lingers && frame.signal !== "SIGKILL") this.#leftOthersBehind(booted, this.#ownExit, us);
    }
  }

  /** The function's own process has ended, and its extensions are being told by their host. */
  #leftOthersBehind(booted: Booted, exit: { code: number | null; signal: string | null }, us: number): void {
    this.#booted = undefined;
    this.#ownExit = undefined;
    const gone = goneSoon(booted);
    this.#lastLife = gone;
    const how = { exit: { ...exit, outOfMemory: false }, us, usage: this.#usage() };
    this.#tell({ type: "process.exited", ...how, lingers: true });
    void gone.then(() => this.#tell({ type: "process.gone", us: this.#world.us() }));
  }

  #usage() {
    this.#log.tellMissing();
    this.#peak.sampleSeldom(this.#enclosure);
    return { peakMemoryMiB: this.#peak.mib, tail: this.#log.tail.end() };
  }
}
