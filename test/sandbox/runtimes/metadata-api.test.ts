/** Where a sandbox runs, as its own programs ask for it: the metadata endpoint beside the Runtime API. */
import { expect, test } from "vitest";
import { boot, host, nodeBootstrap } from "./booted.ts";

const PATH = "/2026-01-15/metadata/execution-environment";
/** A bootstrap that only says what it finds and stays. */
const stays = `#!${process.execPath}
const { AWS_LAMBDA_RUNTIME_API: runtime, AWS_LAMBDA_METADATA_API: api, AWS_LAMBDA_METADATA_TOKEN: token } = process.env;
console.log("found=" + JSON.stringify({ runtime, api, token }));
setInterval(() => {}, 1000);
`;

async function given(zone?: string) {
  const booted = await boot(host, { bootstrap: stays });
  void booted.init(zone === undefined ? {} : { zone });
  const [, found = ""] = await booted.printedLike(/found=(.+)/);
  const { runtime, api, token }: Record<string, string> = JSON.parse(found);
  const ask = (headers: Record<string, string>, method = "GET", of = `http://${runtime}${PATH}`) =>
    fetch(of, { method, headers });
  return { booted, runtime, api, token, ask };
}

test("tells the zone to whoever has the sandbox's token, and that it may be kept", async () => {
  const { booted, runtime, api, token, ask } = await given("eu-1a");
  await using _ = booted;
  expect(api).toBe(runtime);
  const told = await ask({ authorization: `Bearer ${token}` });
  expect([told.status, await told.json()]).toEqual([200, { AvailabilityZoneID: "eu-1a" }]);
  expect([told.headers.get("cache-control"), told.headers.get("content-type")]).toEqual([
    "private, max-age=43200, immutable",
    "application/json",
  ]);
  const other = await given("eu-1a");
  await using __ = other.booted;
  expect(other.token).not.toBe(token);
  expect((await ask({ authorization: `Bearer ${other.token}` })).status).toBe(401);
});

test("refuses whoever doesn't have it, and what isn't GET, and serves nothing else", async () => {
  const { booted, runtime, token, ask } = await given("eu-1a");
  await using _ = booted;
  for (const authorization of ["", "Bearer", "Bearer ", `Basic ${token}`, `Bearer ${token}x`, `${token}`])
    expect((await ask({ authorization })).status, authorization).toBe(401);
  expect((await ask({})).status).toBe(401);
  const own = { authorization: `Bearer ${token}` };
  for (const method of ["POST", "PUT", "DELETE"]) expect((await ask(own, method)).status, method).toBe(405);
  expect((await ask(own, "GET", `http://${runtime}/2026-01-15/metadata/other`)).status).toBe(404);
});

test("isn't there, nor told of, where the zone isn't known", async () => {
  const { booted, api, token, ask } = await given();
  await using _ = booted;
  expect([api, token, (await ask({})).status]).toEqual([undefined, undefined, 404]);
});

test("is there for a function of one of our own runtimes that a host starts, and only then", async () => {
  const code = {
    "index.js": `exports.handler = async () => {
      const { AWS_LAMBDA_METADATA_API: api, AWS_LAMBDA_METADATA_TOKEN: token } = process.env;
      if (api === undefined) return token;
      return (await fetch("http://" + api + "${PATH}", { headers: { authorization: "Bearer " + token } })).json();
    };`,
  };
  for (const [command, changes, answer] of [
    [host, { client: nodeBootstrap }, { AvailabilityZoneID: "eu-1a" }],
    [nodeBootstrap, {}, null],
  ] as const) {
    await using booted = await boot(command, code);
    expect(await booted.init({ ...changes, zone: "eu-1a" })).toMatchObject({ type: "ready" });
    const said = await booted.invoke({});
    expect(said.type === "response" && JSON.parse(Buffer.from(said.payload).toString() || "null")).toEqual(answer);
  }
});
