/** What a worker makes on its host for its sandboxes' networks, what it does without, and what it leaves. */
import { readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DriverName } from "../../../actors/sandbox/drivers/driver.ts";
import { ORDINARY_USER } from "../../support/ordinary-user.ts";
import {
  HOST,
  METADATA,
  makeSurroundings,
  PORTS,
  PRIVATE,
  PUBLIC,
  type Surroundings,
} from "../../support/surroundings.ts";
import { describeUnless } from "../../support/unless.ts";
import { enclosure, Hosted, node, noIsolation, noTraces } from "./hosted.ts";
import { answered, knock, networking, networkless, staying } from "./networked.ts";

const soon = { timeout: 10_000, interval: 20 };
const [PORT] = PORTS;

describeUnless(noIsolation ?? networkless)("a worker whose sandboxes have networks", () => {
  let around: Surroundings;
  beforeAll(async () => {
    around = await makeSurroundings();
  });
  afterAll(() => around?.[Symbol.asyncDispose]());

  const situation = (driver: DriverName = "bubblewrap") => ({
    title: "",
    driver,
    privateMounts: true,
    enter: around.enter,
  });

  test.each(networking)("leaves nothing of them when it dies by SIGKILL, with %s", async (driver) => {
    const worker = await Hosted.start(situation(driver));
    try {
      await Promise.all([1, 2, 3].map(() => worker.ask("start", staying())));
      expect(around.run("nft", "list", "tables")).toContain("mayfly-");
      await expect.poll(() => worker.traces().processes, soon).toBeGreaterThanOrEqual(9);
      await worker.killHard();
      await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
      await expect.poll(() => around.run("nft", "list", "ruleset"), soon).toBe("");
    } finally {
      await worker.end();
    }
  });

  test.each(networking)("leaves them to the next one when its watchdog died too, with %s", async (driver) => {
    const worker = await Hosted.start(situation(driver));
    try {
      await worker.ask("start", staying());
      await worker.signalWatchdog("SIGKILL");
      await worker.killHard();
      expect(around.run("nft", "list", "tables")).toContain("mayfly-");
      const next = await Hosted.start({ ...situation(driver), home: worker.home });
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
      await expect(worker.ask("run", staying(), 1, "")).rejects.toMatchObject(refused);
    } finally {
      await worker.end();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("goes on, however few descriptors are left for a network", async () => {
    const worker = await Hosted.start({ ...situation(), enter: [...around.enter, "prlimit", "--nofile=1024:1024"] });
    const run = () => worker.ask("run", enclosure(node("process.exit(3)"), { egress: ["internet"] }), 1, "");
    try {
      for (let left = 8; left < 60; left += 2) {
        await worker.ask("leave", left);
        const came = await run().catch((error: Error) => error);
        if (came instanceof Error) expect(came.name, `${left}: ${came.message}`).not.toBe("Gone");
      }
      await worker.ask("leave", 1024);
      expect(await run()).toMatchObject([{ exit: { code: 3 } }]);
    } finally {
      await worker.end();
    }
    await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
    await expect.poll(() => around.run("nft", "list", "ruleset"), soon).toBe("");
  });

  /** Before the command of an ordinary user who is to open a tun device. */
  const openTun = (folder: string, more = ":") => {
    const device = `mount -t tmpfs tmpfs "$0" && mknod -m 666 "$0/tun" c 10 200 && mount --bind "$0/tun" /dev/net/tun`;
    return ["sh", "-c", `${device} && ${more} && exec "$@"`, folder];
  };

  /** runc makes no sandboxes for them. */
  const forOrdinaryUsers = networking.filter((driver) => driver !== "oci:runc");

  test.each(forOrdinaryUsers)(
    "has them too as an ordinary user who may open the tun device, with %s",
    async (driver) => {
      const folder = await mkdtemp(join(tmpdir(), "mayfly-tun-"));
      const enter = [...around.enter, ...openTun(folder)];
      const worker = await Hosted.start({ ...situation(driver), uid: ORDINARY_USER, enter });
      try {
        const { egress, lacks } = await worker.isolation;
        expect([egress, lacks.filter((each) => /network/.test(each))]).toEqual(["slirp4netns", []]);
        const doors = [PUBLIC, ...HOST, ...PRIVATE, ...METADATA].map((host) => `tcp ${host} ${PORT}`);
        const [life] = await worker.ask("run", enclosure(knock(doors), { egress: ["internet"] }), 1, "");
        expect(answered(life?.stdout ?? "")).toEqual([`tcp ${PUBLIC} ${PORT}`]);
        await worker.ask("start", staying());
        await worker.killHard();
        await expect.poll(() => worker.traces(), soon).toEqual(noTraces);
      } finally {
        await worker.end();
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  test.each(forOrdinaryUsers)(
    "begins no life whose rules can't be set, and leaves nothing of it, with %s",
    async (driver) => {
      const folder = await mkdtemp(join(tmpdir(), "mayfly-tun-"));
      const nft = `printf '#!/bin/sh\\necho no rules today >&2; exit 1' >"$0/nft" && chmod 755 "$0/nft"`;
      const useIt = `${nft} && mount --bind "$0/nft" "$(command -v nft)"`;
      const enter = [...around.enter, ...openTun(folder, useIt)];
      const worker = await Hosted.start({ ...situation(driver), uid: ORDINARY_USER, enter });
      try {
        const refused = { name: "EgressUnavailable", message: expect.stringContaining("no rules today") };
        await expect(worker.ask("run", staying(), 1, "")).rejects.toMatchObject(refused);
        expect(worker.traces().processes).toBe(0);
      } finally {
        await worker.end();
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  test("has none as an ordinary user without, and says so", async () => {
    const worker = await Hosted.start({ ...situation(), privateMounts: false, uid: ORDINARY_USER });
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
      await worker.ask("start", staying());
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
      await expect(worker.ask("run", staying(), 1, "")).rejects.toMatchObject({
        name: "EgressUnavailable",
        message: expect.stringContaining("MAYFLY_EGRESS=off"),
      });
    } finally {
      await worker.end();
    }
  });
});
