/** On older nats-servers Mayfly says at its start what is off, and events are still retried and schedules still fire. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { describe, expect, onTestFinished, test } from "vitest";
import { featuresOff, serverFeatures } from "../../config/nats/features.ts";
import { UserAsync } from "../../subjects/async.ts";
import { Dead } from "../../subjects/dead.ts";
import { ATTEMPT, DEAD_REASON } from "../../subjects/headers.ts";
import { DEAD_STREAM, RETRY_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { api, deploy } from "../support/functions.ts";
import { oldServer } from "../support/old-servers.ts";
import { startMayfly } from "../support/system.ts";

const FILES = { "index.mjs": "export const handler = async (event) => { if (event.bad) throw new Error('bad'); };\n" };

/** The letter of a function's event that died. */
async function letterOf(nats: NatsConnection, fn: string) {
  const { direct } = await jetstreamManager(nats);
  const subject = Dead.subject({ acct: DEFAULT_ACCOUNT, fn });
  const look = () => direct.getMessage(DEAD_STREAM, { last_by_subj: subject }).catch(() => null);
  await expect.poll(look, { timeout: 20_000, interval: 100 }).not.toBeNull();
  return (await look())?.header;
}

async function folderOfTest(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-old-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe.each([
  { suite: "bookworm", version: "2.9" },
  { suite: "trixie", version: "2.10" },
] as const)("on Debian $suite's nats-server", ({ suite, version }) => {
  test("what is off is said; events are retried, a stream and a schedule run their function", async ({ skip }) => {
    const server = await oldServer(suite);
    if ("why" in server) return skip(server.why);
    const env = { MAYFLY_NATS_SERVER: server.path, MAYFLY_ASYNC_RETRY_DELAYS: "300,600" };
    await using system = await startMayfly({ env });
    const nats = await system.connect("platform");
    const running = nats.info?.version ?? "";
    expect(running.startsWith(`${version}.`)).toBe(true);
    for (const line of featuresOff(running)) expect(system.output()).toContain(`nats-server ${running}: off: ${line}`);
    expect(system.output()).toContain(serverFeatures.schedules.without);

    await deploy(nats, { name: "tried", files: FILES });
    await nats.request(UserAsync.subject({ fn: "tried" }), '{"bad":true}');
    const letter = await letterOf(nats, "tried");
    expect([letter?.get(DEAD_REASON), letter?.get(ATTEMPT)]).toEqual(["RetriesExhausted", "3"]);

    await deploy(nats, { name: "called", files: FILES });
    const ended = nats.subscribe("ended.called", { max: 2 });
    const DestinationConfig = { OnSuccess: { Destination: "arn:aws:nats:::subject/ended.called" } };
    await api(nats, "PutFunctionEventInvokeConfig", { FunctionName: "called", DestinationConfig });
    const at = new Date(Date.now() + 3000).toISOString().slice(0, 19);
    await api(nats, "CreateEventSourceMapping", {
      FunctionName: "called",
      EventSourceArn: `arn:aws:nats:::schedule/at(${at})`,
    });
    const { streams } = await jetstreamManager(nats);
    await streams.add({ name: "ORDERS", subjects: ["orders"] });
    const { UUID } = await api(nats, "CreateEventSourceMapping", {
      FunctionName: "called",
      EventSourceArn: "arn:aws:nats:::stream/ORDERS",
      StartingPosition: "TRIM_HORIZON",
    });
    const result = async () => (await api(nats, "GetEventSourceMapping", { UUID })).LastProcessingResult;
    await jetstream(nats).publish("orders", "1");
    await expect.poll(result, { timeout: 10_000 }).toBe("OK");
    const fired = await ended[Symbol.asyncIterator]().next();
    expect(fired.value?.json()).toMatchObject({ requestPayload: { "detail-type": "Scheduled Event" } });
  }, 90_000);
});

test("what waits for another attempt goes on when the server has become a newer one", async ({ skip }) => {
  const server = await oldServer("trixie");
  if ("why" in server) return skip(server.why);
  const folder = await folderOfTest();
  const env = { MAYFLY_ASYNC_RETRY_DELAYS: "5000,300" };
  const before = await startMayfly({ env: { ...env, MAYFLY_NATS_SERVER: server.path }, folder });
  const old = await before.connect("platform");
  await deploy(old, { name: "tried", files: FILES });
  await old.request(UserAsync.subject({ fn: "tried" }), '{"bad":true}');
  const { streams } = await jetstreamManager(old);
  const waiting = async () => (await streams.info(RETRY_STREAM)).state.messages;
  await expect.poll(waiting, { timeout: 10_000 }).toBe(1);
  await before.stop();
  await using after = await startMayfly({ env, folder });
  const nats = await after.connect("platform");
  // The third attempt waits by the server's own schedule.
  expect((await letterOf(nats, "tried"))?.get(ATTEMPT)).toBe("3");
  const { config } = await (await jetstreamManager(nats)).streams.info(RETRY_STREAM);
  expect(config.allow_msg_schedules).toBe(true);
}, 90_000);
