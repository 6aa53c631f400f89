/** What a sandbox with a network reaches of the world, and what not. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EnclosureSpec } from "../../../actors/sandbox/drivers/driver.ts";
import {
  HOST,
  METADATA,
  makeSurroundings,
  NAME_SERVER,
  PORTS,
  PRIVATE,
  PUBLIC,
  PUBLIC_IPV6,
  type Surroundings,
} from "../../support/surroundings.ts";
import { describeUnless } from "../../support/unless.ts";
import { enclosure, Hosted, node, noTraces } from "./hosted.ts";
import { answered, at, knock, networking, networkless, staying } from "./networked.ts";

const soon = { timeout: 10_000, interval: 20 };
const [PORT, OTHER] = PORTS;

let around: Surroundings;
beforeAll(async () => {
  if (networkless === undefined) around = await makeSurroundings();
});
afterAll(() => around?.[Symbol.asyncDispose]());

describeUnless(networkless).each(networking)(
  `a sandbox by %s that is to have a network (${networkless ?? "here"})`,
  (driver) => {
    let worker: Hosted;
    beforeAll(async () => {
      worker = await Hosted.start({
        title: "",
        driver,
        privateMounts: true,
        enter: around.enter,
        egress: { permitted: ["10.66.0.0/16", "203.0.113.0/24"], platform: ["203.0.113.1"] },
      });
    });
    afterAll(async () => {
      await worker?.end();
      const left = around?.run("nft", "list", "ruleset");
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
      return answered(life.stdout);
    };
    const elsewhere = at([...HOST, ...PRIVATE, ...METADATA, "203.0.113.1", PUBLIC_IPV6]);

    test("says how it gets one", async () => {
      expect(await worker.isolation).toMatchObject({ egress: "slirp4netns" });
    });

    test("of the internet reaches what is public, and nothing else", async () => {
      around.caught();
      expect(await open(["internet"], [...at([PUBLIC]), ...elsewhere])).toEqual(at([PUBLIC]));
      const caught: string[] = [];
      const soFar = () => {
        caught.push(...around.caught());
        return caught.sort();
      };
      const four = ["tcp", "udp"].flatMap((how) => PORTS.map((port) => `${how} ${PUBLIC}:${port}`));
      await expect.poll(soFar, soon).toEqual(four);
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
      expect(answered(came)).toEqual(at([PUBLIC, "10.66.0.1"]));
      const caughtAt = new Set<string | undefined>();
      const look = () => {
        for (const each of around.caught()) caughtAt.add(each.split(/[ :]/)[1]);
        return [...caughtAt].sort();
      };
      await expect.poll(look, soon).toEqual(["10.66.0.1", PUBLIC]);
    });

    test("ends when its network is gone, and its next life has one again", async () => {
      const spec = staying();
      await worker.ask("start", spec);
      for (const pid of worker.processes(/slirp4netns/)) process.kill(pid, "SIGKILL");
      await expect.poll(() => worker.ask("reboot", spec.id).catch((error: Error) => error.name), soon).toBe("ready");
      await worker.ask("destroy", spec.id);
    });
  },
);
