/** What the APIs inside a sandbox share: reading a request to its end, and answering with JSON. */
"use strict";

const { maxPayloadBytes } = require("../nodejs/channel.cjs");

/** What a request is told that ended before its end. */
const truncated = { errorMessage: "HTTP request detected as truncated", errorType: "TruncatedHTTPRequest" };

/** Reads to the end whatever comes; keeps the bytes only while they are within the limit. */
function readBody(request) {
  return new Promise((resolve) => {
    let chunks = [];
    let length = 0;
    request.on("data", (chunk) => {
      length += chunk.length;
      if (length > maxPayloadBytes) chunks = null;
      chunks?.push(chunk);
    });
    request.once("close", () => resolve({ isTruncated: !request.complete, bytes: chunks && Buffer.concat(chunks) }));
    request.once("error", () => {});
  });
}

/** Gives `taken(bytes, done)` what comes, and reads on when it's done; resolves with whether it was cut short. */
function readPieces(request, taken) {
  return new Promise((resolve) => {
    request.on("data", (chunk) => {
      request.pause();
      taken(chunk, () => request.resume());
    });
    request.once("close", () => resolve({ isTruncated: !request.complete }));
    request.once("error", () => {});
  });
}

function reply(response, status, body, headers = {}) {
  const text = JSON.stringify(body);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": length, ...headers });
  response.end(text);
}

function refuse(response, status, errorType, errorMessage) {
  reply(response, status, { errorMessage, errorType });
}

/** The refusal of a request whose body nobody reads. */
function refuseUnread(request, response, status, errorType, errorMessage) {
  request.resume();
  refuse(response, status, errorType, errorMessage);
}

/** Lambda's words for a call that comes out of its order. `whom`: `runtime`, or `extension <id>`. */
function outOfOrder(from, to, whom) {
  return `State transition from ${from} to ${to} failed for ${whom}. Error: State transition is not allowed`;
}

module.exports = { outOfOrder, readBody, readPieces, refuse, refuseUnread, reply, truncated };
