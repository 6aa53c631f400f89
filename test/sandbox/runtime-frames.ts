/** What a runtime sends, written independently of the runtimes: the frames that the decoder is tested with. */
import { logLevels, type RuntimeFrame } from "../../actors/sandbox/frames.ts";

export function encodeRuntimeFrame(frame: RuntimeFrame): Buffer {
  switch (frame.type) {
    case "ready":
      return frame.lingers ? rawFrame(0x11, Buffer.of(1)) : rawFrame(0x11);
    case "initError":
      return rawFrame(0x12, short(frame.errorType), frame.payload);
    case "response":
      return rawFrame(0x13, short(frame.requestId), short(frame.contentType), frame.payload);
    case "chunk":
      return rawFrame(0x19, short(frame.requestId), short(frame.contentType), frame.payload);
    case "error":
      return rawFrame(0x14, short(frame.requestId), short(frame.errorType), frame.payload);
    case "log": {
      const at = Buffer.alloc(8);
      at.writeDoubleBE(frame.at);
      const level = Buffer.of(logLevels.indexOf(frame.level));
      return rawFrame(0x15, level, at, short(frame.requestId), Buffer.from(frame.text));
    }
    case "exit":
      return rawFrame(0x16, Buffer.from(JSON.stringify({ code: frame.code, signal: frame.signal })));
    case "settled":
      return rawFrame(0x17);
    case "hostWanted":
      return rawFrame(0x18);
    case "bytecode":
      return rawFrame(0x1a, frame.payload);
  }
}

/** A frame of any type and body, also such as no runtime of ours would send. */
export function rawFrame(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + body.length);
  head[4] = type;
  return Buffer.concat([head, body]);
}

function short(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
