/**
 * Lambda's Extensions API: who takes part in the sandbox's life beside the runtime.
 *
 * External extensions are programs that the host starts; internal ones live in the runtime's process and may only know
 * INVOKE. The states are Lambda's: Started → Registered (register) → Ready (waits in next) ⇄ Running (has an event), and
 * InitError, ExitError, Exited. Anything out of order is refused with 403.
 */
"use strict";

const { randomUUID } = require("node:crypto");
const { outOfOrder, readBody, refuse, refuseUnread, reply } = require("./http.cjs");

const maxExtensions = 10;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const events = { external: ["INVOKE", "SHUTDOWN"], internal: ["INVOKE"] };

class ExtensionsApi {
  #function;
  #heard;
  #isOpen = true;
  #byId = new Map();

  /** `about` is what they learn of the function; `heard`: `{changed(), failed(errorType, message)}`. */
  constructor(about, heard) {
    this.#function = about;
    this.#heard = heard;
  }

  /** Expects a program of that name to register. Gives null when there are too many. */
  expect(name) {
    if (this.#byId.size >= maxExtensions) return null;
    return this.#add(name, "external");
  }

  all() {
    return [...this.#byId.values()];
  }

  named(id) {
    return this.#byId.get(id);
  }

  get allRegistered() {
    return this.all().every(({ state }) => state !== "Started");
  }

  /** Whether none of them is at work. */
  get allReady() {
    return this.all().every(({ state, event }) => state === "Ready" && event === null);
  }

  /** The runtime has begun to serve: nobody may join any more. */
  close() {
    this.#isOpen = false;
  }

  tell(event) {
    for (const each of this.all()) if (each.subscribed.includes(event.eventType)) this.#give(each, event);
  }

  route(request, response, path) {
    const { method } = request;
    if (method === "POST" && path === "/2020-01-01/extension/register") this.#register(request, response);
    else if (method === "GET" && path === "/2020-01-01/extension/event/next") this.#next(request, response);
    else if (method === "POST" && path === "/2020-01-01/extension/init/error")
      this.#error(request, response, "InitError");
    else if (method === "POST" && path === "/2020-01-01/extension/exit/error")
      this.#error(request, response, "ExitError");
    else return false;
    return true;
  }

  /** The extension that makes a request; undefined when it was refused. */
  identify(request, response) {
    const id = request.headers["lambda-extension-identifier"];
    const forbid = (type, message) => refuseUnread(request, response, 403, `Extension.${type}`, message);
    if (!id) return void forbid("MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header");
    if (!uuid.test(id)) return void forbid("InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
    const extension = this.#byId.get(id.toLowerCase());
    if (!extension) return void forbid("UnknownExtensionIdentifier", `Unknown extension ${id}`);
    return extension;
  }

  async #register(request, response) {
    const forbid = (type, message) => refuse(response, 403, type, message);
    const name = request.headers["lambda-extension-name"];
    const { bytes } = await readBody(request);
    if (!name) return forbid("Extension.InvalidExtensionName", "Empty extension name");
    const subscribed = subscriptions(bytes);
    if (typeof subscribed === "string") return forbid("InvalidRequestFormat", subscribed);
    const known = this.all().find((each) => each.name === name);
    const kind = known?.kind ?? "internal";
    const unknown = subscribed.find((event) => !events[kind].includes(event));
    if (unknown !== undefined) return forbid("Extension.InvalidEventType", `${unknown}: ${whyNot(unknown)}`);
    if (kind === "internal") {
      if (!this.#isOpen) return forbid("Extension.RegistrationClosed", "Extension registration closed already");
      if (known) return forbid("Extension.InvalidExtensionState", "Extension with this name already registered");
      if (this.#byId.size >= maxExtensions) {
        return forbid("Extension.TooManyExtensions", `Extension limit (${maxExtensions}) reached`);
      }
    } else if (known.state !== "Started") {
      return forbid("Extension.InvalidExtensionState", outOfOrder(known.state, "Registered", `extension ${name}`));
    }
    const extension = known ?? this.#add(name, "internal");
    extension.state = "Registered";
    extension.subscribed = subscribed;
    const features = (request.headers["lambda-extension-accept-feature"] ?? "").split(",").map((each) => each.trim());
    const { accountId, ...about } = this.#function;
    const body = features.includes("accountId") ? { ...about, accountId } : about;
    reply(response, 200, body, { "Lambda-Extension-Identifier": extension.id });
    this.#heard.changed();
  }

  #next(request, response) {
    const extension = this.identify(request, response);
    if (!extension) return;
    request.resume();
    // Who asked and hung up may ask again; a second call beside the first may not.
    const isAgain = extension.state === "Ready" && !extension.waiting;
    if (!isAgain && extension.state !== "Registered" && extension.state !== "Running") {
      const message = outOfOrder(extension.state, "Ready", `extension ${extension.id}`);
      return refuse(response, 403, "Extension.InvalidExtensionState", message);
    }
    extension.state = "Ready";
    extension.waiting = response;
    response.once("close", () => {
      if (extension.waiting === response) extension.waiting = null;
    });
    if (extension.event) this.#give(extension, extension.event);
    this.#heard.changed();
  }

  async #error(request, response, state) {
    const extension = this.identify(request, response);
    if (!extension) return;
    const errorType = request.headers["lambda-extension-function-error-type"];
    const forbid = (type, message) => refuseUnread(request, response, 403, `Extension.${type}`, message);
    if (!errorType) return forbid("MissingHeader", "Lambda-Extension-Function-Error-Type not found");
    const from = state === "InitError" ? ["Registered", "InitError"] : ["Registered", "Ready", "Running", "ExitError"];
    if (!from.includes(extension.state)) {
      return forbid("InvalidExtensionState", outOfOrder(extension.state, state, `extension ${extension.id}`));
    }
    const isFirst = extension.state !== state;
    extension.state = state;
    extension.errorType = errorType;
    await readBody(request);
    reply(response, 202, { status: "OK" });
    if (isFirst) this.#heard.failed(`Extension.${state}`, `extension ${extension.name}: ${errorType}`);
  }

  #add(name, kind) {
    const id = randomUUID();
    const extension = { id, name, kind, state: "Started", subscribed: [], waiting: null, event: null, errorType: null };
    this.#byId.set(id, extension);
    return extension;
  }

  /** What comes while it is at work is given when it asks. */
  #give(extension, event) {
    const { waiting } = extension;
    extension.event = waiting ? null : event;
    if (!waiting) return;
    extension.waiting = null;
    extension.state = "Running";
    reply(waiting, 200, event, { "Lambda-Extension-Event-Identifier": randomUUID() });
  }
}

/** The events in a registration's body; in words, what is wrong with it. */
function subscriptions(bytes) {
  let body;
  try {
    body = JSON.parse((bytes ?? "").toString("utf8"));
  } catch (error) {
    return error.message;
  }
  if (typeof body !== "object" || body === null) return "an object is expected";
  const { events: wanted = [], configurationKeys = [] } = body;
  if (configurationKeys.length > 0) return "configurationKeys are deprecated; use environment variables instead";
  if (!Array.isArray(wanted) || wanted.some((each) => typeof each !== "string"))
    return "events must be a list of names";
  return [...new Set(wanted)];
}

function whyNot(event) {
  return event === "SHUTDOWN" ? "ShutdownEventNotSupportedForInternalExtension" : "ErrorInvalidEventType";
}

module.exports = { ExtensionsApi, maxExtensions };
