/** KV buckets and object stores as event sources, on a real server. */
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, fakeFrontend, mapping, runTrigger } from "../support/trigger.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

test("changes of a bucket's keys come with key, operation, revision and value", async () => {
  const connection = await server.connect();
  const frontend = fakeFrontend(connection, "index");
  const prices = await new Kvm(connection).create("PRICES", { history: 5 });
  await using trigger = await runTrigger(server);
  const source = { kind: "bucket", bucket: "PRICES", keys: "eu.>" } as const;
  await enabled(trigger.storage, mapping(source, { fn: "index", inOrder: true }));
  await prices.put("us.tea", "1");
  await prices.put("eu.tea", '{"price":3}');
  await prices.put("eu.raw", Uint8Array.of(0xff, 0xfe));
  await prices.delete("eu.tea");
  await frontend.until((asked) => asked.flatMap(({ event }) => event.Records).length === 3);
  const records = frontend.asked.flatMap(({ event }) => event.Records);
  const common = { eventSource: "nats:bucket", bucket: "PRICES" };
  expect(records.filter(({ key }) => key === "eu.tea")).toMatchObject([
    { ...common, operation: "PUT", revision: 2, value: '{"price":3}' },
    { ...common, operation: "DEL", revision: 4 },
  ]);
  expect(records.find(({ key }) => key === "eu.raw")).toMatchObject({
    ...common,
    operation: "PUT",
    value: "//4=",
    isBase64Encoded: true,
  });
});

test("a bucket's values are looked into by filters", async () => {
  const connection = await server.connect();
  const frontend = fakeFrontend(connection, "dear");
  const goods = await new Kvm(connection).create("GOODS");
  await using trigger = await runTrigger(server);
  await enabled(
    trigger.storage,
    mapping(
      { kind: "bucket", bucket: "GOODS" },
      { fn: "dear", filters: ['{"value":{"price":[{"numeric":[">",10]}]}}'] },
    ),
  );
  await goods.put("tea", '{"price":3}');
  await goods.put("gold", '{"price":99}');
  await frontend.until((asked) => asked.length === 1);
  expect(frontend.asked[0]?.event.Records).toMatchObject([{ key: "gold" }]);
});

test("objects come by name and size when they are put and when they are deleted", async () => {
  const connection = await server.connect();
  const frontend = fakeFrontend(connection, "thumbnail");
  const photos = await new Objm(connection).create("PHOTOS");
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping({ kind: "objects", bucket: "PHOTOS" }, { fn: "thumbnail", inOrder: true }));
  await photos.putBlob({ name: "cat.jpg" }, new TextEncoder().encode("meow"));
  await frontend.until((asked) => asked.length === 1);
  await photos.delete("cat.jpg");
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.asked.flatMap(({ event }) => event.Records)).toMatchObject([
    { eventSource: "nats:objects", bucket: "PHOTOS", key: "cat.jpg", operation: "PUT", value: { size: 4 } },
    { key: "cat.jpg", operation: "DEL" },
  ]);
});
