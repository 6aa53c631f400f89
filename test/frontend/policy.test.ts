import { expect, test } from "vitest";
import { checkClientContext, checkInvocationType, checkPayload } from "../../actors/frontend/policy.ts";
import { MAX_EVENT_BYTES } from "../../subjects/async.ts";
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("a payload is any JSON, or nothing", () => {
  for (const text of ["", "{}", "null", "1", '"é"', " [1] "]) expect(checkPayload(bytes(text))).toBeUndefined();
});

test("what isn't JSON, or isn't UTF-8, is refused as Lambda does", () => {
  for (const payload of [bytes("{"), bytes("hello"), Uint8Array.of(0xff, 0xfe)]) {
    expect(checkPayload(payload)).toMatchObject({
      name: "InvalidRequestContentException",
      message: /^Could not parse request body into json: /,
    });
  }
});

test("a payload has Lambda's limit to the byte", () => {
  const text = (length: number) => bytes(`"${"x".repeat(length - 2)}"`);
  expect(checkPayload(text(MAX_PAYLOAD_BYTES))).toBeUndefined();
  expect(checkPayload(text(MAX_PAYLOAD_BYTES + 1))).toMatchObject({ name: "RequestTooLargeException" });
  expect(checkPayload(text(MAX_EVENT_BYTES), MAX_EVENT_BYTES)).toBeUndefined();
  expect(checkPayload(text(MAX_EVENT_BYTES + 1), MAX_EVENT_BYTES)).toMatchObject({ name: "RequestTooLargeException" });
});

test("a client context is base64 of JSON, of a limited length", () => {
  const encoded = (text: string) => Buffer.from(text).toString("base64");
  expect(checkClientContext(encoded('{"custom":{}}'))).toBeUndefined();
  expect(checkClientContext("not base64 of JSON")).toMatchObject({ name: "InvalidRequestContentException" });
  expect(checkClientContext(encoded(`"${"x".repeat(3600)}"`))).toMatchObject({ message: /3583/ });
});

test("only Lambda's invocation types are taken", () => {
  for (const type of ["RequestResponse", "DryRun", "Event", "ResponseStream"])
    expect(checkInvocationType(type)).toBeUndefined();
  expect(checkInvocationType("Soon")).toMatchObject({ name: "ValidationException" });
});
