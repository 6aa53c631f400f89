/** The mappings and rights on a real server: what its configuration's text alone can't show. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "nats";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { NatsServer } from "../../../bin/embedded/nats-server.ts";
import { anyServer, started } from "../../embedded/any-server.ts";
import { temporaryHome } from "../../embedded/temporary-home.ts";

let binary: string;
beforeAll(async () => {
  const found = await anyServer();
  if (!found) throw new Error("no nats-server can be had on this machine");
  binary = found.path;
}, 300_000);

async function as(server: NatsServer, who: "platform" | "mayfly"): Promise<NatsConnection> {
  const { user, password: pass } = server.credentials[who];
  const connection = await connect({ servers: server.url, user, pass, noAsyncTraces: true });
  onTestFinished(() => connection.close());
  return connection;
}

/** A platform that answers every request with the subject it heard, and a person beside it. */
async function setting() {
  const server = await started(await temporaryHome(), binary);
  const [platform, person] = [await as(server, "platform"), await as(server, "mayfly")];
  platform.subscribe("mayfly.>", {
    callback: (_error, message) => void (message.subject.split(".")[2] === "async" || message.respond(message.subject)),
  });
  await platform.flush();
  const ask = async (subject: string) => (await person.request(subject, "", { timeout: 2000 })).string();
  return { platform, person, ask };
}

test("a request reaches the platform with the tenant stamped, and its answer comes back", async () => {
  const { ask } = await setting();
  expect(await ask("mayfly.invoke.hello")).toBe("mayfly.000000000000.invoke.hello");
  expect(await ask("mayfly.invoke.hello.latest")).toBe("mayfly.000000000000.invoke.hello.latest");
  expect(await ask("mayfly.invoke.async.latest")).toBe("mayfly.000000000000.invoke.async.latest");
  expect(await ask("mayfly.api.ListFunctions")).toBe("mayfly.000000000000.api.ListFunctions");
});

test("an event is stored in its function's shard, whatever its qualifier, and is acknowledged", async () => {
  const { platform, person } = await setting();
  const manager = await jetstreamManager(platform);
  await manager.streams.add({ name: "ASYNC", subjects: ["mayfly.*.async.>"] });
  const names = Array.from({ length: 64 }, (_, i) => `fn-${i}`);
  for (const name of names) {
    await jetstream(person).publish(`mayfly.async.${name}`, "{}");
    await person.request(`mayfly.async.${name}.live`, "{}");
  }
  const { state } = await manager.streams.info("ASYNC", { subjects_filter: ">" });
  const stored = Object.keys(state.subjects ?? {}).map((subject) => subject.split(".").slice(3));
  expect(stored).toHaveLength(128);
  const shardOf = new Map(stored.map(([shard, name]) => [name, shard]));
  for (const [shard, name] of stored) expect(shard).toBe(shardOf.get(name));
  expect(new Set(shardOf.values())).toEqual(new Set(["0", "1", "2", "3", "4", "5", "6", "7"]));
});

test("what the platform enqueues for a tenant goes where the tenant's own events go", async () => {
  const { platform, person } = await setting();
  const manager = await jetstreamManager(platform);
  await manager.streams.add({ name: "ASYNC", subjects: ["mayfly.*.async.>"] });
  for (const name of Array.from({ length: 32 }, (_, i) => `fn-${i}`)) {
    await person.request(`mayfly.async.${name}`, "{}");
    await jetstream(platform).publish(`mayfly.000000000000.enqueue.${name}`, "{}");
    await jetstream(platform).publish(`mayfly.000000000000.enqueue.${name}.live`, "{}");
    await person.request(`mayfly.async.${name}.live`, "{}");
  }
  const { state } = await manager.streams.info("ASYNC", { subjects_filter: ">" });
  expect(Object.values(state.subjects ?? {})).toEqual(Array(64).fill(2));
});

test("a person may publish and answer on subjects of their own", async () => {
  const { person, platform } = await setting();
  person.subscribe("orders.price", { callback: (_error, message) => void message.respond("42") });
  await person.flush();
  expect((await platform.request("orders.price")).string()).toBe("42");
});

test("a person may not speak in the platform's name nor join its queue groups", async () => {
  const { person } = await setting();
  await expect(person.request("mayfly.worker.w1.invoke")).rejects.toThrow(/permissions violation/i);
  const refused = Promise.withResolvers<Error | null>();
  person.subscribe("mayfly.>", { queue: "frontend", callback: (error) => refused.resolve(error) });
  expect(String(await refused.promise)).toMatch(/permissions violation/i);
});

test("a person reads the platform's buckets but doesn't change them", async () => {
  const { person, platform } = await setting();
  const functions = await new Kvm(platform).create("FUNCTIONS");
  await functions.put("hello", "1");
  const seen = await new Kvm(person).open("FUNCTIONS", { allow_direct: true });
  expect((await seen.get("hello"))?.string()).toBe("1");
  const keys: string[] = [];
  for await (const key of await seen.keys()) keys.push(key);
  expect(keys).toEqual(["hello"]);
  await expect(seen.put("hello", "2")).rejects.toThrow(/permissions violation/i);
  await expect((await jetstreamManager(person)).streams.delete("KV_FUNCTIONS")).rejects.toThrow(/permissions/i);
});

test("a person keeps streams and buckets of their own", async () => {
  const { person } = await setting();
  const mine = await new Kvm(person).create("mine");
  await mine.put("a", "1");
  await mine.destroy();
});

test("a person takes nothing out of the work queues", async () => {
  const { person, platform } = await setting();
  await (await jetstreamManager(platform)).streams.add({
    name: "ASYNC_0",
    subjects: ["mayfly.*.async.0.>"],
    retention: "workqueue",
  });
  const consumers = (await jetstreamManager(person)).consumers;
  await expect(consumers.add("ASYNC_0", { durable_name: "thief", ack_policy: "explicit" })).rejects.toThrow(
    /permissions/i,
  );
});
