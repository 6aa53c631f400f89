import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type ServerConf, serverConf } from "../../../config/nats/server-conf.ts";
import { anyServer } from "../../embedded/any-server.ts";
import { temporaryFolder } from "../../embedded/temporary-home.ts";

const conf: ServerConf = {
  serverName: "mayfly",
  serverVersion: "2.14.5",
  host: "127.0.0.1",
  port: 4222,
  storeDir: "/data",
  platform: { user: "platform", password: "one" },
  people: { user: "mayfly", password: "two" },
  property: {
    subjects: ["mayfly.worker.>"],
    queues: ["frontend"],
    workQueues: ["ASYNC_0"],
    buckets: ["FUNCTIONS"],
    objectStores: ["CODE"],
  },
  stamp: { account: "000000000000", asyncShards: 8 },
};

/** The file's values: after its comment it is JSON. */
function values(of: ServerConf) {
  return JSON.parse(serverConf(of).replace(/^#.*$/m, ""));
}

test("the embedded server listens where it is told and shows no monitor", () => {
  const text = values(conf);
  expect([text.host, text.port]).toEqual(["127.0.0.1", 4222]);
  expect(text).not.toHaveProperty("http");
  expect(text.max_pending).toBeGreaterThan(text.max_payload);
});

test("keys that a server version doesn't know aren't written for it", () => {
  expect(values({ ...conf, serverVersion: "2.9.10", sync: "always", logFile: "/log" })).not.toHaveProperty(
    "logfile_max_num",
  );
  expect(values({ ...conf, serverVersion: "2.9.10", sync: "always" }).jetstream).toEqual({ store_dir: "/data" });
  expect(values({ ...conf, sync: "always" }).jetstream).toEqual({ store_dir: "/data", sync_interval: "always" });
  expect(values({ ...conf, serverVersion: "2.15.1" }).jetstream.limits).toEqual({ default_max_consumers: -1 });
});

describe("rights", () => {
  const [platform, people] = values(conf).accounts.MAYFLY.users;
  test("the platform may do everything in its account", () => {
    expect(platform).toEqual({ user: "platform", password: "one" });
  });
  test("people may neither speak for the platform nor change what it keeps", () => {
    expect(people.permissions.publish.deny).toEqual(
      expect.arrayContaining([
        "mayfly.worker.>",
        "$KV.FUNCTIONS.>",
        "$O.CODE.>",
        "$JS.API.STREAM.DELETE.KV_FUNCTIONS",
        "$JS.API.STREAM.PURGE.OBJ_CODE",
        "$JS.API.CONSUMER.MSG.NEXT.ASYNC_0.>",
      ]),
    );
    expect(people.permissions.subscribe.deny).toEqual(["> frontend"]);
  });
  test("people may read buckets through consumers of their own", () => {
    expect(people.permissions.publish.deny).not.toContain("$JS.API.CONSUMER.CREATE.KV_FUNCTIONS.>");
  });
});

const member: ServerConf = {
  ...conf,
  monitor: { host: "0.0.0.0", port: 8222 },
  system: { user: "operator", password: "three" },
  tags: ["az:a"],
  cluster: {
    name: "mayfly",
    host: "0.0.0.0",
    port: 6222,
    routes: ["nats://n2:6222"],
    routeUser: { user: "route", password: "a/b" },
  },
};

test("a cluster member gets its routes with credentials, its zone and a monitor", () => {
  const text = values(member);
  expect(text.cluster.routes).toEqual(["nats://route:a%2Fb@n2:6222"]);
  expect(text.server_tags).toEqual(["az:a"]);
  expect(text.jetstream.unique_tag).toBe("az:");
  expect(text.http).toBe("0.0.0.0:8222");
});

test("the server takes every variant's file as valid", async ({ skip }) => {
  const server = await anyServer();
  if (!server) return skip("no nats-server can be had on this machine");
  const file = join(await temporaryFolder(), "nats-server.conf");
  for (const variant of [conf, member, { ...conf, sync: "always", maxStoreBytes: 1e9, logFile: "/log" }]) {
    await writeFile(file, serverConf({ ...variant, serverVersion: server.version }));
    expect((await promisify(execFile)(server.path, ["-t", "-c", file])).stderr).toContain("is valid");
  }
}, 300_000);

test("a value can't break out of its place", () => {
  const hostile = '"; authorization { users: [] } #';
  expect(values({ ...conf, serverName: hostile }).server_name).toBe(hostile);
});
