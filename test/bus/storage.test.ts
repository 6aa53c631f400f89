/** Compare-and-set on a real bucket. */
import { expect, it } from "vitest";
import { Conflict, openStorage } from "../../actors/bus/storage.ts";
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
