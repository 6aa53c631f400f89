/** The network port on a real server: what is lost, what is not, and what happens when the server goes away. */
import { AuthorizationError } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectNats, natsNetwork } from "../../actors/bus/nats.ts";
import { Population } from "../../actors/bus/population.ts";
import { NoAnswer } from "../../actors/bus/port.ts";
import { openStorage } from "../../actors/bus/storage.ts";
import { type RestartableServer, startRestartableServer } from "../support/nats.ts";
import { bellMachine, bellTower, bellWiring, Rang, Ring } from "./bell.ts";

let server: RestartableServer;
beforeAll(async () => {
  server = await startRestartableServer();
});
afterAll(async () => server?.[Symbol.asyncDispose]());

test("messages of one publisher come in order, also those said before a question", async () => {
  const network = natsNetwork(await server.connect());
  const heard: string[] = [];
  const subscription = network.subscribe("test.order.*", ({ subject, replyTo }) => {
    heard.push(subject.split(".")[2] ?? "");
    if (replyTo !== undefined) network.publish({ subject: replyTo, payload: "" });
  });
  for (const name of ["a", "b", "c"]) network.publish({ subject: `test.order.${name}`, payload: "" });
  await network.request({ subject: "test.order.d", payload: "" }, 2000);
  expect(heard).toEqual(["a", "b", "c", "d"]);
  await subscription.drain();
});

test("news leaves soon, though nothing else is said; and what is said before and after it stays there", async () => {
  const network = natsNetwork(await server.connect());
  const heard: string[] = [];
  const came = Promise.withResolvers<void>();
  const subscription = network.subscribe("test.news.*", ({ subject }) => {
    heard.push(subject.split(".")[2] ?? "");
    if (heard.length === 4) came.resolve();
  });
  network.publish({ subject: "test.news.a", payload: "", isNews: true });
  network.publish({ subject: "test.news.b", payload: "" });
  network.publish({ subject: "test.news.c", payload: "", isNews: true });
  await network.flush();
  network.publish({ subject: "test.news.d", payload: "", isNews: true });
  await came.promise;
  expect(heard).toEqual(["a", "b", "c", "d"]);
  await subscription.drain();
});

test("of a queue group one member hears each message", async () => {
  const network = natsNetwork(await server.connect());
  let heard = 0;
  const members = [1, 2, 3].map(() => network.subscribe("test.queue", () => void heard++, "q"));
  for (let each = 0; each < 30; each++) network.publish({ subject: "test.queue", payload: "" });
  await network.flush();
  await Promise.all(members.map((each) => each.drain()));
  expect(heard).toBe(30);
});

test("a question nobody hears fails at once, and one nobody answers when its time is up", async () => {
  const network = natsNetwork(await server.connect());
  await expect(network.request({ subject: "test.nobody", payload: "" }, 60_000)).rejects.toThrow(NoAnswer);
  const silent = network.subscribe("test.silent", () => {});
  await expect(network.request({ subject: "test.silent", payload: "" }, 50)).rejects.toThrow(NoAnswer);
  await silent.drain();
});

test("what can't be published is lost alone: publishing never throws, and what was said with it arrives", async () => {
  const connection = await server.connect();
  const network = natsNetwork(connection);
  const came = Promise.withResolvers<string>();
  const subscription = network.subscribe("test.after", ({ data }) => came.resolve(new TextDecoder().decode(data)));
  network.publish({ subject: "test.too-big", payload: new Uint8Array((connection.info?.max_payload ?? 0) + 1) });
  network.publish({ subject: "not a subject", payload: "" });
  network.publish({ subject: "test.after", payload: "here" });
  expect(await came.promise).toBe("here");
  await subscription.drain();
});

test("a request whose answer is too big for the server is answered all the same, by name", async () => {
  const connection = await server.connect();
  const network = natsNetwork(connection);
  const payload = new Uint8Array((connection.info?.max_payload ?? 0) + 1);
  const subscription = network.subscribe("test.big-answer", ({ replyTo = "" }) =>
    network.publish({ subject: replyTo, payload, isAnswer: true }),
  );
  const reply = await network.request({ subject: "test.big-answer", payload: "" }, 2000);
  expect(reply.header("Nats-Service-Error")).toMatch(/^ServiceException: /);
  await subscription.drain();
});

describe("when the server is killed and comes back", () => {
  test("a component serves again, unaided, with what it knew; and a watch goes on", { timeout: 120_000 }, async () => {
    const connection = await server.connect();
    const person = await server.connect("mayfly");
    const component = bellTower(connection);
    new Population(component, {
      actor: "bell",
      logic: bellMachine,
      wiring: bellWiring,
      born: (id) => ({ id }),
    }).listen();
    const storage = await openStorage(connection, { replicas: 1 });
    const seen = new Map<string, () => void>();
    const sees = (key: string) => new Promise<void>((resolve) => seen.set(key, resolve));
    const [before, after] = [sees("000000000000.before"), sees("000000000000.after")];
    const watch = await storage.functions.watch(({ key }) => seen.get(key)?.());
    await storage.functions.put("000000000000.before", 1);
    await before;
    const ring = () => person.request(Ring.subject({ id: "a" }), '{"times":1}', { timeout: 5000 });
    expect((await ring()).json()).toEqual({ times: 1 });

    const back = [connection, person].map(async (each) => {
      for await (const { type } of each.status()) if (type === "reconnect") return;
    });
    await server.restart();
    await Promise.all(back);
    await Promise.all([connection.flush(), person.flush()]);

    expect((await ring()).json()).toEqual({ times: 2 });
    const rang = person.subscribe(Rang.subject({ id: "a" }), { max: 1 });
    await person.flush();
    await ring();
    for await (const message of rang) expect(message.json()).toEqual({ times: 3 });
    await storage.functions.put("000000000000.after", 1);
    await after;
    watch.stop();
    await component.stop();
  });
});

test("a connection lives on while another system's server has the port, which lets nobody of ours in", async () => {
  await using ours = await startRestartableServer();
  const connection = await ours.connect();
  const status = connection.status();
  await ours.restart(async () => {
    await using _ = await startRestartableServer(Number(new URL(ours.url).port));
    let refused = 0;
    for await (const each of status) {
      if (each.type === "error" && each.error instanceof AuthorizationError) refused += 1;
      if (each.type === "close" || refused === 3) break;
    }
    expect(refused).toBe(3);
  });
  await expect.poll(() => connection.flush().then(() => "here"), { timeout: 10_000 }).toBe("here");
  const { user } = ours.credentials.platform;
  const wrong = connectNats({ url: ours.url, user, password: "wrong", name: "test" });
  await expect(wrong).rejects.toThrow(AuthorizationError);
});
