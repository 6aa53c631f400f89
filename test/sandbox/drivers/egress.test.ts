/** What a sandbox with a network reaches of the world, and what not; and what is left of its network afterwards. */
import { readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EnclosureSpec } from "../../../actors/sandbox/drivers/driver.ts";
import { findSlirpTools } from "../../../actors/sandbox/drivers/egress/host.ts";
import {
  HOST,
  METADATA,
  makeSurroundings,
  NAME_SERVER,
  noSurroundings,
  PORTS,
  PRIVATE,
  PUBLIC,
  PUBLIC_IPV6,
  type Surroundings,
} from "../../support/surroundings.ts";
import { canIsolate, enclosure, Hosted, node, noTraces } from "./hosted.ts";

const missing =
  noSurroundings ??
  (await findSlirpTools().then(
    () => undefined,
    (error: Error) => error.message,
  ));
const soon = { timeout: 10_000, interval: 20 };
const [PORT, OTHER] = PORTS;

/** Knocks at each `tcp|udp host port` of the argument, all at once, and prints what came of it. */
const knock = (doors: readonly string[]): string[] =>
  node(`const { connect } = require("net");
    const tcp = (host, port) => new Promise((tell) => {
      const socket = connect({ host, port });
      socket.setTimeout(3000, () => { tell("silence"); socket.destroy(); });
      socket.on("data", () => tell("answer")).on("error", (error) => tell(error.code));
    });
    const udp = (host, port) => new Promise((tell) => {
      const socket = require("dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
      const late = setTimeout(() => { tell("silence"); socket.close(); }, 1000);
      const end = (word) => { clearTimeout(late); tell(word); socket.close(); };
      socket.on("message", () => end("answer")).on("error", (error) => end(error.code));
      socket.send("hello", port, host, (error) => error && end(error.code));
    });
    Promise.all(${JSON.stringify(doors)}.map(async (door) => {
      const [how, host, port] = door.split(" ");
      return [door, await (how === "tcp" ? tcp : udp)(host, Number(port))];
    })).then((all) => console.log(JSON.stringify(all)));`);

describe.skipIf(!canIsolate || missing !== undefined)(
  `a sandbox that is to have a network (${missing ?? "here"})`,
  () => {
    let around: Surroundings;
    let worker: Hosted;
    beforeAll(async () => {
      around = await makeSurroundings();
      worker = await Hosted.start({
        title: "",
        privateMounts: true,
        enter: around.enter,
        egress: { permitted: ["10.66.0.0/16", "203.0.113.0/24"], platform: ["203.0.113.1"] },
      });
    });
    afterAll(async () => {
      await worker?.end();
      const left = around?.run("nft", "list", "ruleset");
      await around?.[Symbol.asyncDispose]();
      expect([left, worker?.traces()]).toEqual(["", noTraces]);
    });

    const run = async (command: readonly string[], egress: EnclosureSpec["egress"]) => {
      const changes = egress === undefined ? {} : { egress };
      const [life] = await worker.ask("run", enclosure(command, changes), 1, "");
      return life;
    };
    /** Those of `doors` that a sandbox with `egress` got an answer at. */
    const open = async (egress: EnclosureSpec["egress"], doors: readonly string[]): Promise<string[]> => {
      const life = await run(knock(doors), egress);
      if (life?.exit.code !== 0) throw new Error(life?.stderr);
      const all = JSON.parse(life.stdout) as Array<[string, string]>;
      return all.flatMap(([door, came]) => (came === "answer" ? [door] : []));
    };
    const at = (hosts: readonly string[]) =>
      hosts.flatMap((host) => PORTS.flatMap((port) => [`tcp ${host} ${port}`, `udp ${host} ${port}`]));
    const elsewhere = at([...HOST, ...PRIVATE, ...METADATA, "203.0.113.1", PUBLIC_IPV6]);

    test("says how it gets one", async () => {
      expect(await worker.isolation).toMatchObject({ egress: "slirp4netns" });
    });

    test("of the internet reaches what is public, and nothing else", async () => {
      around.caught();
      expect(await open(["internet"], [...at([PUBLIC]), ...elsewhere])).toEqual(at([PUBLIC]));
      expect(around.caught().sort()).toEqual(
        PORTS.flatMap((port) => [`tcp ${PUBLIC}:${port}`, `udp ${PUBLIC}:${port}`]).sort(),
      );
    });

    test("finds names, and no other way to who knows them", async () => {
      around.caught();
      const look = `require("dns").lookup("mayfly.example.com", { family: 4 }, (error, address) => console.log(error?.code ?? address));`;
      expect((await run(node(look), ["192.0.2.9:1"]))?.stdout).toBe(`${PUBLIC}\n`);
      await expect.poll(() => around.caught(), soon).toContain("name mayfly.example.com");
      expect((await run(node(look), undefined))?.stdout).not.toContain(PUBLIC);
      expect(await open(["192.0.2.9:1"], at(["169.254.100.3", "169.254.100.2", NAME_SERVER]))).toEqual([]);
      expect(around.caught()).toEqual([]);
    });

    test("of a list reaches what is on it, by port and by protocol", async () => {
      const all = [...at([PUBLIC, NAME_SERVER, "10.66.0.1"]), ...elsewhere];
      expect(await open([`${PUBLIC}:${PORT}`], all)).toEqual([`tcp ${PUBLIC} ${PORT}`, `udp ${PUBLIC} ${PORT}`]);
      expect(await open([`198.51.100.0/24:9000-9100/tcp`], all)).toEqual([
        `tcp ${PUBLIC} ${OTHER}`,
        `tcp ${NAME_SERVER} ${OTHER}`,
      ]);
      expect(await open([`${PUBLIC}/udp`, "10.66.0.1:8080/tcp"], at([PUBLIC, "10.66.0.1"]))).toEqual([
        ...PORTS.map((port) => `udp ${PUBLIC} ${port}`),
        `tcp 10.66.0.1 ${PORT}`,
      ]);
      // What is wider than a private network doesn't name it.
      expect(await open(["0.0.0.0/0"], all)).toEqual(at([PUBLIC, NAME_SERVER]));
    });

    test("of a list doesn't reach this host or the platform, whatever its owner permits", async () => {
      expect(await open(["203.0.113.0/24", "internet"], [...at(["203.0.113.1", "203.0.113.2"])])).toEqual([]);
    });

    test.each(["10.20.0.1:8080", "192.168.7.2", "100.64.1.1", "10.0.0.0/8", "127.0.0.1", "169.254.169.254:80"])(
      "is not made when it asks for %s, which nobody permits",
      async (destination) => {
        await expect(run(knock([]), ["internet", destination])).rejects.toMatchObject({
          name: "EgressForbidden",
          message: expect.stringContaining(destination),
        });
      },
    );

    test("is heard by nobody it hasn't spoken to, though its datagrams leave by a port of the host", async () => {
      const ports = () => around.run("cat", "/proc/net/udp").match(/(?<=^\s*\d+: 0{8}:)[0-9A-F]{4}/gm) ?? [];
      const program = node(`const socket = require("dgram").createSocket("udp4");
      socket.on("message", (word) => console.log(String(word))).bind(${PORT}, () => socket.send("x", ${PORT}, "${PUBLIC}"));
      setTimeout(() => process.exit(), 1500);`);
      expect(ports()).toEqual([]);
      const life = run(program, ["internet"]);
      await expect.poll(ports, soon).toHaveLength(1);
      const send = `const socket = require("dgram").createSocket("udp4");
      Promise.all(["127.0.0.1", "${HOST[0]}"].map((host) => new Promise((sent) => socket.send("called", ${Number.parseInt(ports()[0] ?? "", 16)}, host, sent)))).then(() => socket.close());`;
      around.run(process.execPath, "-e", send);
      expect((await life)?.stdout).toBe(`from ${PUBLIC}\n`);
    });

    test("is kept by the host too: the second lock holds by itself", async () => {
      const gid = /skgid (\d+)-/.exec(around.run("nft", "list", "ruleset"))?.[1];
      around.caught();
      const doors = [...at([PUBLIC]), ...elsewhere, ...at(["127.0.0.1"])];
      const [, , source = ""] = knock(doors);
      const came = around.run("setpriv", `--regid=${gid}`, "--clear-groups", process.execPath, "-e", source);
      const reached = (JSON.parse(came) as Array<[string, string]>).filter(([, word]) => word === "answer");
      expect(reached.map(([door]) => door)).toEqual(at([PUBLIC, "10.66.0.1"]));
      const caughtAt = new Set<string | undefined>();
      const look = () => {
        for (const each of around.caught()) caughtAt.add(each.split(/[ :]/)[1]);
        return [...caughtAt].sort();
      };
      await expect.poll(look, soon).toEqual(["10.66.0.1", PUBLIC]);
    });

    test("ends when its network is gone, and its next life has one again", async () => {
      const spec = enclosure(node(`require("fs").writeSync(3, "ready"); setTimeout(() => process.exit(), 100000)`), {
        egress: ["internet"],
      });
      await worker.ask("start", spec);
      for (const pid of worker.processes(/slirp4netns/)) process.kill(pid, "SIGKILL");
      await expect.poll(() => worker.ask("reboot", spec.id).catch((error: Error) => error.name), soon).toBe("ready");
      await worker.ask("destroy", spec.id);
    });
  },
);

describe.skipIf(!canIsolate || missing !== undefined)("a worker whose sandboxes have networks", () => {
  let around: Surroundings;
  beforeAll(async () => {
    around = await makeSurroundings();
  });
  afterAll(() => around?.[Symbol.asyncDispose]());

  const talking = () =>
    enclosure(node(`require("fs").writeSync(3, "ready"); setTimeout(() => process.exit(), 100000)`), {
      egress: ["internet"],
    });
  const situation = () => ({ title: "", privateMounts: true, enter: around.enter });

  test("leaves nothing of them when it dies by SIGKILL", async () => {
    const worker = await Hosted.start(situation());
    try {
      await Promise.all([1, 2, 3].map(() => worker.ask("start", talking())));
      expect(around.run("nft", "list", "tables")).toContain("mayfly-");
      expect(worker.traces().processes).toBeGreaterThanOrEqual(9);
      await worker.killHard();
      await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
      await expect.poll(() => around.run("nft", "list", "ruleset"), soon).toBe("");
    } finally {
      await worker.end();
    }
  });

  test("leaves them to the next one when its watchdog died too", async () => {
    const worker = await Hosted.start(situation());
    try {
      await worker.ask("start", talking());
      await worker.killWatchdog();
      await worker.killHard();
      expect(around.run("nft", "list", "tables")).toContain("mayfly-");
      const next = await Hosted.start({ ...situation(), home: worker.home });
      await next.end();
      expect(around.run("nft", "list", "ruleset")).toBe("");
      expect(worker.traces()).toEqual(noTraces);
    } finally {
      await worker.end();
    }
  });

  test.each([
    ["slirp4netns", '"$(command -v slirp4netns)"', /slirp4netns was not found.*apt install slirp4netns/],
    ["nft", '"$(command -v nft)"', /nft was not found.*apt install nftables/],
    ["tun device", "/dev/net", /\/dev\/net\/tun can't be opened.*modprobe tun/],
  ])("says what is missing and how to get it where there is no %s, and makes none without", async (_, path, words) => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-nothing-"));
    const nothing = path === "/dev/net" ? folder : join(folder, "nothing");
    await writeFile(join(folder, "nothing"), "");
    const hide = ["sh", "-c", `mount --bind "$0" ${path} && exec "$@"`, nothing];
    const worker = await Hosted.start({ ...situation(), enter: [...around.enter, ...hide] });
    try {
      const { egress, lacks } = await worker.isolation;
      expect([egress, lacks.filter((each) => words.test(each)).length]).toEqual([undefined, 1]);
      const refused = { name: "EgressUnavailable", message: expect.stringMatching(words) };
      await expect(worker.ask("run", talking(), 1, "")).rejects.toMatchObject(refused);
    } finally {
      await worker.end();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("has them too as an ordinary user in private mounts, where he may open the tun device", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-tun-"));
    const open = `mount -t tmpfs tmpfs "$0" && mknod -m 666 "$0/tun" c 10 200 && mount --bind "$0/tun" /dev/net/tun && exec "$@"`;
    const enter = [...around.enter, "sh", "-c", open, folder];
    const worker = await Hosted.start({ ...situation(), uid: 20001, enter });
    try {
      const { egress, lacks } = await worker.isolation;
      expect([egress, lacks.filter((each) => /network/.test(each))]).toEqual(["slirp4netns", []]);
      const doors = [PUBLIC, ...HOST, ...PRIVATE, ...METADATA].map((host) => `tcp ${host} ${PORT}`);
      const [life] = await worker.ask("run", enclosure(knock(doors), { egress: ["internet"] }), 1, "");
      const came = JSON.parse(life?.stdout ?? "") as Array<[string, string]>;
      expect(came.filter(([, word]) => word === "answer").map(([door]) => door)).toEqual([`tcp ${PUBLIC} ${PORT}`]);
      await worker.ask("start", talking());
      await worker.killHard();
      await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
    } finally {
      await worker.end();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("has none as an ordinary user without, and says so", async () => {
    const worker = await Hosted.start({ ...situation(), privateMounts: false, uid: 20001 });
    try {
      const { egress, lacks } = await worker.isolation;
      expect([egress, lacks.filter((each) => /no function gets a network here/.test(each)).length]).toEqual([
        undefined,
        1,
      ]);
    } finally {
      await worker.end();
    }
  });

  test("keeps those that live from an address this host has got since", async () => {
    const worker = await Hosted.start({ ...situation(), egress: { refreshMs: 50 } });
    try {
      await worker.ask("start", talking());
      const outside = readlinkSync(`/proc/${worker.pid}/ns/net`);
      const inside = worker.processes(/--args/).find((pid) => readlinkSync(`/proc/${pid}/ns/net`) !== outside);
      const shut = () => {
        const command = [`--net=/proc/${inside}/ns/net`, "nft", "list", "set", "inet", "mayfly", "shut"];
        return around.run("nsenter", ...command).match(/[\d.]{7,}/g);
      };
      expect(shut()?.sort()).toEqual([...HOST.slice(0, 3), "127.0.0.1"].sort());
      around.run("ip", "addr", "add", "198.51.100.200/32", "dev", "lo");
      await expect.poll(shut, soon).toContain("198.51.100.200");
    } finally {
      around.run("ip", "addr", "del", "198.51.100.200/32", "dev", "lo");
      await worker.end();
    }
  });

  test("makes none where its owner has switched them off", async () => {
    const worker = await Hosted.start({ ...situation(), egress: { way: "off" } });
    try {
      await expect(worker.ask("run", talking(), 1, "")).rejects.toMatchObject({
        name: "EgressUnavailable",
        message: expect.stringContaining("MAYFLY_EGRESS=off"),
      });
    } finally {
      await worker.end();
    }
  });
});
