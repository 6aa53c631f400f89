/**
 * Lambda's Telemetry API, and the Logs API before it: extensions subscribe while the sandbox initialises, and are sent
 * what the platform, the function and the extensions have to tell. What was told before is sent to them too.
 */
"use strict";

const { readBody, refuse, refuseUnread } = require("./http.cjs");
const { TelemetryDelivery } = require("./telemetry-delivery.cjs");

const apis = {
  "/2022-07-01/telemetry": {
    name: "Telemetry",
    subscribed: "platform.telemetrySubscription",
    versions: ["2022-07-01", "2022-12-13", "2025-01-29"],
    shape: (event) => [event],
  },
  "/2020-08-15/logs": {
    name: "Logs",
    subscribed: "platform.logsSubscription",
    versions: ["2020-08-15", "2021-03-18", undefined],
    shape: logsEvent,
  },
};
const limits = {
  maxItems: [1000, 10_000, 10_000],
  maxBytes: [262_144, 1_048_576, 262_144],
  timeoutMs: [25, 30_000, 1000],
};
const kinds = ["platform", "function", "extension"];
const ownNames = ["sandbox.localdomain", "sandbox"];
/** What is kept for those who subscribe later; far more than an init tells as a rule. */
const maxEarlier = 1000;

class TelemetryApi {
  #extensions;
  #isOpen = true;
  #earlier = [];
  /** By extension and API: a second subscription takes the first one's place. */
  #subscriptions = new Map();

  /** `extensions`: the ExtensionsApi, whose members may subscribe. */
  constructor(extensions) {
    this.#extensions = extensions;
  }

  /** Something of the platform: `initStart`, `start`, … */
  platform(type, record) {
    if (this.isHeard || this.#isOpen) {
      this.#tell("platform", { time: new Date().toISOString(), type: `platform.${type}`, record });
    }
  }

  /** One line of the function's, or of an extension's. */
  line(kind, text) {
    if (this.isHeard || this.#isOpen) this.#tell(kind, { time: new Date().toISOString(), type: kind, record: text });
  }

  get isHeard() {
    return this.#subscriptions.size > 0;
  }

  /** Init is over: nobody may subscribe any more. */
  close() {
    this.#isOpen = false;
    this.#earlier = [];
  }

  async flush() {
    await Promise.all([...this.#subscriptions.values()].map(({ delivery }) => delivery.flush()));
  }

  route(request, response, path) {
    const api = Object.hasOwn(apis, path) ? apis[path] : undefined;
    if (api === undefined || request.method !== "PUT") return false;
    this.#subscribe(request, response, api);
    return true;
  }

  async #subscribe(request, response, api) {
    const extension = this.#extensions.identify(request, response);
    if (!extension) return;
    if (!this.#isOpen) {
      const message = `${api.name} API subscription is closed already`;
      return refuseUnread(request, response, 403, `${api.name}.SubscriptionClosed`, message);
    }
    const { bytes } = await readBody(request);
    const wanted = read(bytes, api);
    if (typeof wanted === "string") return refuse(response, 400, "ValidationError", wanted);
    const { types, destination, buffering } = wanted;
    const delivery = new TelemetryDelivery(destination, buffering);
    const subscription = { types, delivery, shape: api.shape };
    for (const [kind, event] of this.#earlier) send(subscription, kind, event);
    this.#subscriptions.set(`${extension.id} ${api.name}`, subscription);
    response.writeHead(200, { "Content-Type": "text/plain" });
    response.end("OK");
    const record = { name: extension.name, state: "Subscribed", types };
    this.#tell("platform", { time: new Date().toISOString(), type: api.subscribed, record });
  }

  #tell(kind, event) {
    if (this.#isOpen && this.#earlier.length < maxEarlier) this.#earlier.push([kind, event]);
    for (const subscription of this.#subscriptions.values()) send(subscription, kind, event);
  }
}

function send({ types, delivery, shape }, kind, event) {
  if (types.includes(kind)) for (const each of shape(event)) delivery.add(each);
}

/** An event as the Logs API tells it: nothing of what came after it, and an end of its own before the report. */
function logsEvent(event) {
  const { time, type, record } = event;
  const { requestId } = record;
  if (type === "platform.start") return [{ time, type, record: { requestId, version: record.version } }];
  if (type === "platform.runtimeDone") return [{ time, type, record: { requestId, status: record.status } }];
  if (type === "platform.report") {
    return [
      { time, type: "platform.end", record: { requestId } },
      { time, type, record: { requestId, metrics: record.metrics } },
    ];
  }
  return /^platform\.(init|telemetry)/.test(type) ? [] : [event];
}

/** A subscription as it is asked for, with defaults; in words, what is wrong with it. */
function read(bytes, { versions }) {
  let body;
  try {
    body = JSON.parse((bytes ?? "").toString("utf8"));
  } catch (error) {
    return `the body is no JSON: ${error.message}`;
  }
  const { schemaVersion, types, destination, buffering = {} } = body ?? {};
  if (!versions.includes(schemaVersion)) return `schemaVersion must be one of ${versions.filter(Boolean).join(", ")}`;
  if (!Array.isArray(types) || types.length === 0 || types.some((type) => !kinds.includes(type))) {
    return `types must be some of ${kinds.join(", ")}`;
  }
  const where = readDestination(destination ?? {});
  if (typeof where === "string") return where;
  const sizes = {};
  for (const [name, [least, most, otherwise]] of Object.entries(limits)) {
    const size = buffering?.[name] ?? otherwise;
    if (!Number.isInteger(size) || size < least || size > most) return `${name} must be from ${least} to ${most}`;
    sizes[name] = size;
  }
  return { types: [...new Set(types)], destination: where, buffering: sizes };
}

/** Only ports of this sandbox can be named. */
function readDestination({ protocol, URI, port }) {
  if (protocol === "TCP") {
    return Number.isInteger(port) && port > 0 && port < 65_536 ? { protocol, port } : "port must be from 1 to 65535";
  }
  if (protocol !== "HTTP") return "protocol must be HTTP or TCP";
  const url = URL.parse(String(URI));
  if (url?.protocol !== "http:" || !ownNames.includes(url.hostname))
    return "URI must be http://sandbox.localdomain:<port>";
  return { protocol, hostname: url.hostname, port: Number(url.port || 80), path: url.pathname + url.search };
}

module.exports = { TelemetryApi };
