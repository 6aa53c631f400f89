/**
 * One subscriber's stream of telemetry: gathered, and sent in batches to a port inside this sandbox, as an HTTP request
 * with a JSON array or as lines of JSON over TCP. A batch leaves when it has enough events or bytes or its time is up.
 *
 * What can't be delivered yet is kept, up to twice a batch; what comes beyond that is dropped and told by a
 * `platform.logsDropped` event. Nothing here keeps the process alive.
 */
"use strict";

const { request } = require("node:http");
const { connect } = require("node:net");

const retryMs = 100;

class TelemetryDelivery {
  #destination;
  #buffering;
  /** Events as JSON text. */
  #events = [];
  #bytes = 0;
  #dropped = { droppedRecords: 0, droppedBytes: 0 };
  #timer = null;
  /** Settles when what is being sent has been. */
  #sending = null;
  #socket = null;

  constructor(destination, buffering) {
    this.#destination = destination;
    this.#buffering = buffering;
  }

  add(event) {
    const text = JSON.stringify(event);
    const { maxBytes, maxItems, timeoutMs } = this.#buffering;
    if (this.#bytes + text.length > 2 * maxBytes || this.#events.length >= 2 * maxItems) {
      this.#dropped.droppedRecords += 1;
      this.#dropped.droppedBytes += text.length;
      return;
    }
    this.#keep(text);
    if (this.#bytes >= maxBytes || this.#events.length >= maxItems) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), timeoutMs).unref();
  }

  /** Sends what there is. Resolves when it has arrived, or couldn't be sent at the first attempt. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #send() {
    while (this.#events.length > 0) {
      const batch = this.#events.slice(0, this.#buffering.maxItems);
      try {
        await (this.#destination.protocol === "HTTP" ? this.#post(batch) : this.#write(batch));
      } catch {
        this.#timer ??= setTimeout(() => this.flush(), retryMs).unref();
        return;
      }
      for (const text of this.#events.splice(0, batch.length)) this.#bytes -= text.length;
      this.#tellDropped();
    }
  }

  #tellDropped() {
    if (this.#dropped.droppedRecords === 0) return;
    const record = { ...this.#dropped, reason: "The subscriber was slower than the telemetry." };
    this.#dropped = { droppedRecords: 0, droppedBytes: 0 };
    this.#keep(JSON.stringify({ time: new Date().toISOString(), type: "platform.logsDropped", record }));
  }

  #keep(text) {
    this.#events.push(text);
    this.#bytes += text.length;
  }

  #post(batch) {
    return new Promise((resolve, reject) => {
      const body = Buffer.from(`[${batch.join(",")}]`);
      const headers = { "Content-Type": "application/json", "Content-Length": body.length };
      const { port, path, hostname } = this.#destination;
      const options = { host: "127.0.0.1", port, path, method: "POST", agent: false };
      const sent = request({ ...options, headers: { Host: `${hostname}:${port}`, ...headers } }, (response) => {
        response.resume();
        response.once("close", () => (response.statusCode < 300 ? resolve() : reject(new Error("refused"))));
      });
      sent.once("error", reject);
      sent.once("socket", (socket) => socket.unref());
      sent.end(body);
    });
  }

  #write(batch) {
    return new Promise((resolve, reject) => {
      this.#socket ??= this.#connect();
      const socket = this.#socket;
      const failed = () => reject(new Error("closed"));
      socket.once("close", failed);
      socket.write(`${batch.join("\n")}\n`, (error) => {
        socket.off("close", failed);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  #connect() {
    const socket = connect(this.#destination.port, "127.0.0.1").unref();
    socket.on("error", () => {});
    socket.once("close", () => {
      if (this.#socket === socket) this.#socket = null;
    });
    return socket;
  }
}

module.exports = { TelemetryDelivery };
