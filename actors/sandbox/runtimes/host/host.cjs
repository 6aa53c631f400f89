/**
 * Stands between a function's processes and the worker: serves Lambda's Runtime, Extensions, Telemetry and metadata APIs
 * over HTTP, starts the extensions and the runtime, and turns what they do into frames. Its end is the sandbox's end.
 */
"use strict";

const { Channel } = require("../nodejs/channel.cjs");
const { Life } = require("./life.cjs");

const channel = new Channel(3, onFrame, () => life.stop(0));
const life = new Life(channel, process.argv[2]);

process.on("uncaughtException", (error) => {
  console.error(error);
  life.stop(1);
});

function onFrame(type, body) {
  if (type === 0x02) life.invoke(body);
  else if (type === 0x01) life.begin(JSON.parse(body));
  else if (type === 0x03) end(JSON.parse(body));
  else throw new Error(`unknown frame type ${type}`);
}

function end({ reason, graceMs }) {
  life.shutDown(reason, graceMs, 0);
}
