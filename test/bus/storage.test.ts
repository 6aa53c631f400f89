/** Buckets and the store of packages on a real server. */
import { createHash, randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { Conflict, openStorage } from "../../actors/bus/storage.ts";
import { FUNCTIONS_BUCKET } from "../../subjects/streams.ts";
import { startTestServer } from "../support/nats.ts";

it("writes and deletes a key only as it was read, and says Conflict otherwise", async () => {
  await using server = await startTestServer();
  const { functions } = await openStorage(await server.connect(), { replicas: 1 });
  const key = "000000000000.f";
  const first = await functions.create(key, { at: 1 });
  await expect(functions.create(key, { at: 1 })).rejects.toThrow(Conflict);
  const second = await functions.update(key, { at: 2 }, first);
  await expect(functions.update(key, { at: 3 }, first)).rejects.toThrow(Conflict);
  await expect(functions.delete(key, first)).rejects.toThrow(Conflict);
  expect(await functions.get(key)).toMatchObject({ value: { at: 2 } });
  await functions.delete(key, second);
  expect(await functions.get(key)).toBeUndefined();
  await functions.create(key, { at: 4 });
});

it("watches an empty bucket as up to date at once, then hears every change in order", async () => {
  await using server = await startTestServer();
  const { functions } = await openStorage(await server.connect(), { replicas: 1 });
  const upToDate = Promise.withResolvers<void>();
  const deleted = Promise.withResolvers<void>();
  const heard: unknown[] = [];
  const watch = await functions.watch(({ key, value }) => {
    heard.push([key, value]);
    if (value === undefined) deleted.resolve();
  }, upToDate.resolve);
  await upToDate.promise;
  await functions.put("a", 1);
  await functions.put("a", 2);
  await functions.delete("a");
  await deleted.promise;
  expect(heard).toEqual([
    ["a", 1],
    ["a", 2],
    ["a", undefined],
  ]);
  watch.stop();
});

it("says up to date once, after every current entry and before what comes later", async () => {
  await using server = await startTestServer();
  const { functions } = await openStorage(await server.connect(), { replicas: 1 });
  for (const key of ["a.b", "a.c", "d"]) await functions.put(key, key);
  const told: string[] = [];
  const later = Promise.withResolvers<void>();
  const upToDate = Promise.withResolvers<void>();
  const watch = await functions.watch(
    ({ key }) => {
      told.push(key);
      if (key === "later") later.resolve();
    },
    () => {
      told.push("up to date");
      upToDate.resolve();
    },
  );
  await upToDate.promise;
  await functions.put("later", 1);
  await later.promise;
  expect(told).toEqual(["a.b", "a.c", "d", "up to date", "later"]);
  expect(await functions.keys("a.*")).toEqual(["a.b", "a.c"]);
  expect(await functions.keys("nothing.*")).toEqual([]);
  watch.stop();
});

it("hears a value that isn't JSON as none, and goes on", async () => {
  await using server = await startTestServer();
  const connection = await server.connect();
  const { functions } = await openStorage(connection, { replicas: 1 });
  const heard: unknown[] = [];
  const both = Promise.withResolvers<void>();
  const watch = await functions.watch(({ value }) => {
    heard.push(value);
    if (heard.length === 2) both.resolve();
  });
  await connection.request(`$KV.${FUNCTIONS_BUCKET}.a`, "{not json");
  await functions.put("b", 1);
  await both.promise;
  expect(heard).toEqual([undefined, 1]);
  watch.stop();
});

it("keeps packages by their digest, bigger than a message may be", async () => {
  await using server = await startTestServer();
  const { code } = await openStorage(await server.connect(), { replicas: 1 });
  const bytes = randomBytes(12 * 1024 * 1024);
  const digest = createHash("sha256").update(bytes).digest("hex");
  expect([await code.has(digest), await code.get(digest)]).toEqual([false, undefined]);
  await code.put(digest, bytes);
  await code.put(digest, bytes);
  expect(await code.has(digest)).toBe(true);
  expect(
    createHash("sha256")
      .update((await code.get(digest)) ?? "")
      .digest("hex"),
  ).toBe(digest);
  await code.delete(digest);
  expect([await code.has(digest), await code.get(digest)]).toEqual([false, undefined]);
  await code.put(digest, bytes);
  expect([await code.has(digest), (await code.get(digest))?.length]).toEqual([true, bytes.length]);
});

it("may be opened by many at once", async () => {
  await using server = await startTestServer();
  const connections = await Promise.all([server.connect(), server.connect(), server.connect()]);
  await Promise.all(connections.map((each) => openStorage(each, { replicas: 1 })));
});

it("gives a package whole to everybody, however many write it at once", { timeout: 60_000 }, async () => {
  await using server = await startTestServer();
  const storages = await Promise.all(
    [server.connect(), server.connect()].map(async (each) => openStorage(await each, { replicas: 1 })),
  );
  for (let round = 0; round < 20; round++) {
    const bytes = randomBytes(700_000);
    const digest = createHash("sha256").update(bytes).digest("hex");
    const readers = storages.flatMap(({ code }) =>
      Array.from({ length: 4 }, async () => {
        await code.put(digest, bytes);
        return (await code.get(digest))?.length;
      }),
    );
    expect(await Promise.all(readers)).toEqual(Array.from({ length: 8 }, () => bytes.length));
  }
});
