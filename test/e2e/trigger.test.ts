/** What calls functions by itself, in the whole system, as a person meets it. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Log } from "../../subjects/logs.ts";
import { api, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

/** Says what it was given, one line a record, and answers with it. */
const ECHO = {
  "index.mjs": `export const handler = async ({ Records, ...event }) => {
    for (const { subject, key, body, value } of Records ?? [event]) console.log("got " + (subject ?? key) + " " + (body ?? value));
    return Records?.[0]?.body ?? null;
  };`,
};

let system: RunningSystem;
let person: NatsConnection;
beforeAll(async () => {
  system = await startMayfly();
  person = await system.connect();
  await deploy(person, { name: "echo", files: ECHO });
}, 120_000);
afterAll(() => system[Symbol.asyncDispose]());

/** Hears what the function says until it has said each of these. */
async function saying(...lines: readonly string[]): Promise<() => Promise<void>> {
  const left = new Set(lines);
  const heard = person.subscribe(Log.subject({ fn: "echo" }));
  await person.flush();
  return async () => {
    for await (const message of heard) {
      for (const line of left) if (message.string().includes(line)) left.delete(line);
      if (left.size === 0) break;
    }
  };
}

async function added(source: string, ...flags: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await system.mayfly("trigger", "add", "echo", source, ...flags, "--json");
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const { UUID, State } = JSON.parse(stdout) as { UUID: string; State: string };
  expect(State).toBe("Enabled");
  return UUID;
}

test("a message on a subject runs the function, at least once", async () => {
  await added("subject:orders.created");
  const said = await saying("got orders.created tea");
  person.publish("orders.created", "tea");
  await said();
});

test("the function answers on a subject of its owner's", async () => {
  await added("subject:shout.*", "--reply");
  expect((await person.request("shout.now", "hey", { timeout: 20_000 })).json()).toBe("hey");
});

test("a stream's messages run the function, and a deleted trigger leaves nothing in the stream", async () => {
  const { streams } = await jetstreamManager(person);
  await streams.add({ name: "ORDERS", subjects: ["bought.>"] });
  await jetstream(person).publish("bought.before", "1");
  const said = await saying("got bought.before 1", "got bought.after 2");
  const UUID = await added("stream:ORDERS", "--from", "start");
  await jetstream(person).publish("bought.after", "2");
  await said();
  const { code } = await system.mayfly("trigger", "rm", UUID);
  expect(code).toBe(0);
  expect((await streams.info("ORDERS")).state.consumer_count).toBe(0);
});

test("a change in a bucket runs the function", async () => {
  const prices = await new Kvm(person).create("PRICES");
  await added("bucket:PRICES");
  const said = await saying("got tea 3");
  await prices.put("tea", "3");
  await said();
});

test("a schedule runs the function when its time has come", async () => {
  const said = await saying("got undefined undefined");
  const at = new Date(Date.now() + 3000).toISOString().slice(0, 19);
  await api(person, "CreateEventSourceMapping", {
    FunctionName: "echo",
    EventSourceArn: `arn:aws:nats:::schedule/at(${at})`,
  });
  await said();
});
