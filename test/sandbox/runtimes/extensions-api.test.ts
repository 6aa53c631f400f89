/** What the Extensions API answers, call by call. */
import { expect, test } from "vitest";
import { type Answer, Api, accepted, refusal } from "./api.ts";

const path = (name: string) => `/2020-01-01/extension/${name}`;
const register = (api: Api, name: string, body: string = '{"events":["INVOKE"]}') =>
  api.post(path("register"), { body, headers: { "lambda-extension-name": name } });
const next = (api: Api, id?: string) =>
  api.get(path("event/next"), id === undefined ? {} : { "lambda-extension-identifier": id });
const failing = (api: Api, kind: "init" | "exit", headers: Record<string, string>) =>
  api.post(path(`${kind}/error`), { body: "{}", headers });
const idOf = ({ headers }: Answer) => String(headers["lambda-extension-identifier"]);
const forbidden = (errorType: string) => ({ status: 403, errorType });

test("an internal extension registers, takes part in an invocation, and asks again", async () => {
  const { booted, ready, api } = await Api.start();
  await using _ = api;
  const registered = await register(api, "inside");
  expect(registered.status).toBe(200);
  const event = next(api, idOf(registered));
  const runtime = api.next();
  expect(await ready).toEqual({ type: "ready", lingers: true });
  const said = booted.invoke({});
  await runtime;
  const { status, headers, body } = await event;
  expect([status, JSON.parse(body)]).toMatchObject([200, { eventType: "INVOKE", requestId: "request-1" }]);
  expect(headers["lambda-extension-event-identifier"]).toMatch(/^[0-9a-f-]{36}$/);
  await api.answer("request-1", "response", { body: "1" });
  expect(await said).toMatchObject({ type: "response" });
  void api.next().catch(() => {});
  void next(api, idOf(registered)).catch(() => {});
  expect(await booted.next()).toEqual({ type: "settled" });
});

test("a registration that is no good is refused by name", async () => {
  const { api } = await Api.start();
  await using _ = api;
  expect(refusal(await register(api, ""))).toEqual(forbidden("Extension.InvalidExtensionName"));
  for (const body of ["", "[", "null", '{"events":"INVOKE"}', '{"events":[],"configurationKeys":["A"]}']) {
    expect(refusal(await register(api, "x", body))).toEqual(forbidden("InvalidRequestFormat"));
  }
  for (const event of ["SHUTDOWN", "invoke", "OTHER"]) {
    const refused = await register(api, "x", JSON.stringify({ events: [event] }));
    expect(refusal(refused)).toEqual(forbidden("Extension.InvalidEventType"));
  }
  await register(api, "x");
  expect(refusal(await register(api, "x"))).toEqual(forbidden("Extension.InvalidExtensionState"));
});

test("ten may register, and nobody once the runtime serves", async () => {
  const { api } = await Api.start();
  await using _ = api;
  for (let n = 0; n < 10; n++) expect((await register(api, `e${n}`)).status).toBe(200);
  const eleventh = await register(api, "e10");
  expect(refusal(eleventh)).toEqual(forbidden("Extension.TooManyExtensions"));
  expect(JSON.parse(eleventh.body).errorMessage).toBe("Extension limit (10) reached");
  void api.next().catch(() => {});
  await api.get("/2018-06-01/ping");
  expect(refusal(await register(api, "late"))).toEqual(forbidden("Extension.RegistrationClosed"));
});

test("who doesn't say who it is, or is nobody, is refused", async () => {
  const { api } = await Api.start();
  await using _ = api;
  const stranger = "00000000-0000-4000-8000-000000000000";
  expect(refusal(await next(api))).toEqual(forbidden("Extension.MissingExtensionIdentifier"));
  expect(refusal(await next(api, "me"))).toEqual(forbidden("Extension.InvalidExtensionIdentifier"));
  expect(refusal(await next(api, stranger))).toEqual(forbidden("Extension.UnknownExtensionIdentifier"));
  for (const kind of ["init", "exit"] as const) {
    const refused = await failing(api, kind, { "lambda-extension-identifier": stranger });
    expect(refusal(refused)).toEqual(forbidden("Extension.UnknownExtensionIdentifier"));
  }
  const telemetry = await api.put("/2022-07-01/telemetry", { body: "{}" });
  expect(refusal(telemetry)).toEqual(forbidden("Extension.MissingExtensionIdentifier"));
});

test("a second wait beside the first is refused, in Lambda's words", async () => {
  const { api } = await Api.start();
  await using _ = api;
  const id = idOf(await register(api, "x"));
  const waits = [next(api, id), next(api, id)];
  const refused = await Promise.race(waits);
  for (const wait of waits) wait.catch(() => {});
  expect(refusal(refused)).toEqual(forbidden("Extension.InvalidExtensionState"));
  expect(JSON.parse(refused.body).errorMessage).toBe(
    `State transition from Ready to Ready failed for extension ${id}. Error: State transition is not allowed`,
  );
});

test("an error needs its type, comes once, and fails the sandbox", async () => {
  const { booted, ready, api } = await Api.start();
  await using _ = api;
  const id = { "lambda-extension-identifier": idOf(await register(api, "x")) };
  expect(refusal(await failing(api, "exit", id))).toEqual(forbidden("Extension.MissingHeader"));
  const typed = { ...id, "lambda-extension-function-error-type": "Extension.Broke" };
  expect(await failing(api, "exit", typed)).toMatchObject(accepted);
  expect(await ready).toMatchObject({ type: "initError", errorType: "Extension.ExitError" });
  expect(await booted.next()).toMatchObject({ type: "ended" });
});
