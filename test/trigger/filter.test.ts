import { expect, test } from "vitest";
import { matchesAny, textOrJson } from "../../actors/trigger/filter.ts";

const record = {
  subject: "orders.created",
  body: { kind: "tea", price: 3, tags: ["hot", "green"], from: { country: "JP", organic: true }, note: null, "": 1 },
};
const matches = (pattern: object) => matchesAny([JSON.stringify(pattern)], record);

test.each([
  ["a value", { subject: ["orders.created"] }],
  ["one of several values", { body: { kind: ["coffee", "tea"] } }],
  ["a number", { body: { price: [3] } }],
  ["null", { body: { note: [null] } }],
  ["a truth", { body: { from: { organic: [true] } } }],
  ["one element of a list", { body: { tags: ["green"] } }],
  ["all fields", { subject: [{ prefix: "orders." }], body: { kind: ["tea"] } }],
  ["a prefix", { subject: [{ prefix: "orders." }] }],
  ["a suffix", { subject: [{ suffix: ".created" }] }],
  ["whatever the case", { body: { kind: [{ "equals-ignore-case": "TEA" }] } }],
  ["a range", { body: { price: [{ numeric: [">", 0, "<=", 3] }] } }],
  ["an equal number", { body: { price: [{ numeric: ["=", 3] }] } }],
  ["anything but a value", { body: { kind: [{ "anything-but": "coffee" }] } }],
  ["anything but several values", { body: { kind: [{ "anything-but": ["coffee", "milk"] }] } }],
  ["anything but a prefix", { body: { kind: [{ "anything-but": { prefix: "co" } }] } }],
  ["what is there", { body: { kind: [{ exists: true }] } }],
  ["what isn't there", { body: { size: [{ exists: false }] } }],
  ["one of two patterns", { $or: [{ body: { kind: ["coffee"] } }, { body: { price: [3] } }] }],
])("%s matches", (_, pattern) => expect(matches(pattern)).toBe(true));

test.each([
  ["another value", { subject: ["orders"] }],
  ["a text for a number", { body: { price: ["3"] } }],
  ["one of two fields", { subject: ["orders.created"], body: { kind: ["coffee"] } }],
  ["beyond a range", { body: { price: [{ numeric: [">", 3] }] } }],
  ["the value it may not be", { body: { kind: [{ "anything-but": ["tea"] }] } }],
  ["the prefix it may not have", { body: { kind: [{ "anything-but": { prefix: ["te"] } }] } }],
  ["what is there as not there", { body: { kind: [{ exists: false }] } }],
  ["what isn't there", { body: { size: [{ "anything-but": 1 }] } }],
  ["a structure as a value", { body: ["tea"] }],
  ["a value as a structure", { subject: { kind: ["tea"] } }],
  ["an unknown operator", { subject: [{ constructor: "orders.created" }] }],
  ["what every object has", { body: { toString: [{ exists: true }] } }],
])("%s doesn't match", (_, pattern) => expect(matches(pattern)).toBe(false));

test("one of several patterns is enough, no pattern at all too, and what is no pattern matches nothing", () => {
  expect(matchesAny(['{"body":{"kind":["coffee"]}}', '{"body":{"kind":["tea"]}}'], record)).toBe(true);
  expect(matchesAny([], record)).toBe(true);
  expect(matchesAny(["not json"], record)).toBe(false);
});

test("a body is looked into where it is JSON", () => {
  expect(textOrJson('{"a":1}')).toEqual({ a: 1 });
  expect(textOrJson("plain")).toBe("plain");
});
