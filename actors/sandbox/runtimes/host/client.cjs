/**
 * A runtime client of ours behind the host: it speaks its frames to the host, which hands them on to the worker as they
 * are, and looks at what goes by.
 */
"use strict";

const { FrameReader } = require("../nodejs/channel.cjs");
const { start } = require("./processes.cjs");

/**
 * `heard`: that of `start`, and `{ready(), initError(type), streamed(bytes), answered(errorType, bytes), log(text)}`. `channel` is the
 * worker's.
 */
function startClient(command, options, init, channel, heard) {
  const process = start(command, { ...options, hasChannel: true }, heard);
  const reader = new FrameReader((type, body) => {
    if (type === 0x11) return heard.ready();
    if (type === 0x15) heard.log(body.toString("utf8", 10 + body[9]));
    if (type === 0x19) return relayChunk(body);
    channel.relay(type, body);
    if (type === 0x12) heard.initError(body.toString("utf8", 1, 1 + body[0]));
    if (type === 0x13 || type === 0x14) {
      const [second, at] = textAfter(body, 1 + body[0]);
      heard.answered(type === 0x14 ? second : null, body.length - at);
    }
  });
  /** Held back as long as the worker holds back this host. */
  const relayChunk = (body) => {
    const [, at] = textAfter(body, 1 + body[0]);
    heard.streamed(body.length - at);
    process.channel.pause();
    channel.relayChunk(body, () => process.channel.resume());
  };
  process.channel.on("data", (chunk) => reader.read(chunk));
  process.channel.on("error", () => {});
  const send = (type, body) => process.channel.write(frame(type, body));
  send(0x01, Buffer.from(JSON.stringify(init)));
  return { process, offer: (body) => send(0x02, body) };
}

function textAfter(body, at) {
  const end = at + 1 + body[at];
  return [body.toString("utf8", at + 1, end), end];
}

/** A copy: a body may only be valid for the moment. */
function frame(type, body) {
  const bytes = Buffer.allocUnsafe(5 + body.length);
  bytes.writeUInt32BE(1 + body.length, 0);
  bytes[4] = type;
  body.copy(bytes, 5);
  return bytes;
}

module.exports = { startClient };
