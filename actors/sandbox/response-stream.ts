/**
 * The response of one invocation on its way to a caller who asked for it as it is produced.
 *
 * What is read from the process at a time becomes one piece, however many chunks it wrote. Nothing more is read until that
 * has left this process, the pace allows it, and a reader who acknowledges has followed: a giant or endless response costs the
 * function time, not the worker memory.
 */
import { setTimeout as after } from "node:timers/promises";
import type { Call } from "../../subjects/worker.ts";
import { FrameError, type RuntimeFrame } from "./frames.ts";
import { StreamPace } from "./stream-pace.ts";
import { StreamWindow, type StreamWindowLimits } from "./stream-window.ts";
import type { ProcessStreamed, ReaderAwaited, ReaderEvent } from "./streamed.ts";
import type { Tap } from "./tap.ts";
import type { SandboxWorld } from "./world.ts";

/** What one says whose event doesn't stream. */
export const unwantedChunk = new FrameError("unexpected", "a chunk that nobody asked for");

export type ResponseChunk = Extract<RuntimeFrame, { type: "chunk" }>;

type World = Pick<SandboxWorld, "sent" | "us" | "streamPace">;
type Tell = (streamed: ProcessStreamed | ReaderAwaited | ReaderEvent) => void;

type Streaming = Pick<Call, "requestId" | "acknowledges">;

export class ResponseStream {
  readonly requestId: string;
  readonly #world: World;
  readonly #tell: Tell;
  readonly #pace: StreamPace;
  readonly #window: StreamWindow | undefined;
  #chunks: Buffer[] = [];
  #contentType = "";

  constructor({ requestId, acknowledges }: Streaming, world: World, tell: Tell, limits?: StreamWindowLimits) {
    this.requestId = requestId;
    this.#world = world;
    this.#tell = tell;
    this.#pace = new StreamPace(world.streamPace);
    const ask = () => tell({ type: "reader.awaited", requestId });
    const lost = () => tell({ type: "reader.lost", requestId, us: world.us() });
    this.#window = acknowledges ? new StreamWindow({ ask, lost }, limits) : undefined;
  }

  add({ contentType, payload }: ResponseChunk): void {
    if (payload.length === 0) return;
    this.#contentType = contentType;
    this.#chunks.push(payload);
  }

  heard(reader: ReaderEvent): void {
    if (reader.type === "reader.took") this.#window?.took(reader.bytes);
    else this.close();
  }

  /** Nothing waits for its reader any more. */
  close(): void {
    this.#window?.close();
  }

  /** Sends what came in since the last time, and holds back what comes next from `tap`. */
  forward(tap?: Tap): void {
    const [only] = this.#chunks;
    if (only === undefined) return;
    const piece = this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    const { requestId } = this;
    this.#tell({
      type: "process.streamed",
      requestId,
      contentType: this.#contentType,
      payload: piece,
      us: this.#world.us(),
    });
    void tap?.hold(this.#taken(piece.length));
  }

  async #taken(bytes: number): Promise<void> {
    this.#window?.sent(bytes);
    const pauseMs = this.#pace.pause(bytes, this.#world.us());
    // What can't leave is lost; it may be no reason to read on more quickly than the pace allows.
    await this.#world.sent().catch(() => {});
    if (pauseMs > 0) await after(pauseMs, undefined, { ref: false });
    await this.#window?.room();
  }
}

/** The response that the running invocation streams, if it does. */
export class ResponseStreams {
  readonly #world: World;
  readonly #tell: Tell;
  #stream: ResponseStream | undefined;

  constructor(world: World, tell: Tell) {
    this.#world = world;
    this.#tell = tell;
  }

  get isUnderWay(): boolean {
    return this.#stream !== undefined;
  }

  begin(call: Call): void {
    this.drop();
    if (call.streams) this.#stream = new ResponseStream(call, this.#world, this.#tell);
  }

  /** False where nobody asked for it. */
  add(chunk: ResponseChunk): boolean {
    if (this.#stream?.requestId !== chunk.requestId) return false;
    this.#stream.add(chunk);
    return true;
  }

  forward(tap: Tap): void {
    this.#stream?.forward(tap);
  }

  heard(reader: ReaderEvent): void {
    if (reader.requestId === this.#stream?.requestId) this.#stream.heard(reader);
  }

  /** Its process has answered: what came before that is sent. */
  end(requestId: string): void {
    if (this.#stream?.requestId !== requestId) return;
    this.#stream.forward();
    this.drop();
  }

  /** Whatever else comes of it is wanted no more. */
  drop(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }
}
