/**
 * The response of one invocation on its way to a caller who asked for it as it is produced.
 *
 * What is read from the process at a time becomes one piece, however many chunks it wrote. Nothing more is read until that
 * has left this process and the pace allows it: a giant or endless response costs the function time, not the worker memory.
 */
import { setTimeout as after } from "node:timers/promises";
import { FrameError, type RuntimeFrame } from "./frames.ts";
import { StreamPace } from "./stream-pace.ts";
import type { ProcessStreamed } from "./streamed.ts";
import type { Tap } from "./tap.ts";
import type { SandboxWorld } from "./world.ts";

/** What one says whose event doesn't stream. */
export const unwantedChunk = new FrameError("unexpected", "a chunk that nobody asked for");

export type ResponseChunk = Extract<RuntimeFrame, { type: "chunk" }>;

type World = Pick<SandboxWorld, "sent" | "us">;
type Tell = (streamed: ProcessStreamed) => void;

export class ResponseStream {
  readonly requestId: string;
  readonly #world: World;
  readonly #tell: Tell;
  readonly #pace = new StreamPace();
  #chunks: Buffer[] = [];
  #contentType = "";

  constructor(requestId: string, world: World, tell: Tell) {
    this.requestId = requestId;
    this.#world = world;
    this.#tell = tell;
  }

  add({ contentType, payload }: ResponseChunk): void {
    if (payload.length === 0) return;
    this.#contentType = contentType;
    this.#chunks.push(payload);
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
    const pauseMs = this.#pace.pause(bytes, this.#world.us());
    await this.#world.sent();
    if (pauseMs > 0) await after(pauseMs, undefined, { ref: false });
  }
}
