/** Attacks by functions that may talk to the internet, and want to talk to whom they may not. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { networking, networkless } from "../sandbox/drivers/networked.ts";
import {
  HOST,
  METADATA,
  makeSurroundings,
  PORTS,
  PRIVATE,
  PUBLIC,
  PUBLIC_IPV6,
  type Surroundings,
} from "../support/surroundings.ts";
import { describeUnless, testUnless } from "../support/unless.ts";
import { type Attacked, noPython, startAttacked } from "./attacked.ts";

const [PORT] = PORTS;

/** Who doesn't answer for so long is silent: a slow machine takes seconds for many at once. */
const DIALLER = `
  const { connect } = require("node:net");
  const dial = (host, port, ms = 6000) => new Promise((tell) => {
    const socket = connect({ host, port });
    socket.setTimeout(ms, () => { tell("silence"); socket.destroy(); });
    socket.on("data", () => tell("reached")).on("error", (error) => tell(error.code));
  });`;
const DIAL = `${DIALLER} return Promise.all(event.hosts.map((host) => dial(host, event.port ?? ${PORT})));`;
const FORBIDDEN = [...HOST, "127.0.0.1", "localhost", "sandbox", ...PRIVATE, ...METADATA, PUBLIC_IPV6, "169.254.100.2"];

let around: Surroundings;
beforeAll(async () => {
  if (networkless === undefined) around = await makeSurroundings();
});
afterAll(() => around?.[Symbol.asyncDispose]());

describeUnless(networkless).each(networking)(`a function with a network by %s (${networkless ?? "here"})`, (driver) => {
  /** What the driver has no part in. */
  const testOnce = (title: string, work: () => Promise<void>) => {
    if (driver === networking[0]) test(title, work);
  };
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver, MAYFLY_EGRESS_PRIVATE: "10.66.0.0/16" }, around);
  });
  afterAll(async () => {
    await attacked?.[Symbol.asyncDispose]();
    // A worker that had no time to remove its table leaves that to its watchdog.
    await vi.waitFor(() => expect(around?.run("nft", "list", "ruleset")).toBe(""), { timeout: 10_000 });
  });
  afterEach(() => attacked.isUnharmed());

  const let_ = async (fn: string, egress: string) => {
    const { code, stderr } = await attacked.system.mayfly("config", "set", fn, `egress=${egress}`);
    expect([code, stderr]).toEqual([0, ""]);
  };
  /** Fails unless only what is public was reached since the last look. */
  const expectOnlyPublic = () => {
    const places = around.caught().filter((each) => !each.startsWith("name "));
    expect(places.filter((each) => !each.includes(` ${PUBLIC}:`))).toEqual([]);
  };

  test("has none until its owner says so, and shows what it has", async () => {
    expect(attacked.system.output()).toMatch(/^isolation: .*egress by slirp4netns/m);
    const fn = await attacked.node(DIAL);
    const hosts = [PUBLIC, ...FORBIDDEN];
    const shown = async () => /^egress +(.*)$/m.exec((await attacked.system.mayfly("show", fn)).stdout)?.[1];
    around.caught();
    expect(await shown()).toBe("none");
    expect((await attacked.invoke(fn, { hosts })).value).not.toContain("reached");
    await let_(fn, "internet,10.66.0.1:8080");
    expect(await shown()).toBe("internet, 10.66.0.1:8080");
    expect((await attacked.invoke(fn, { hosts: [PUBLIC, "some.example.com", "10.66.0.1"] })).value).toEqual(
      Array(3).fill("reached"),
    );
    expect(around.caught()).toContain(`tcp 10.66.0.1:${PORT}`);
    expect((await attacked.system.mayfly("config", "unset", fn, "egress")).code).toBe(0);
    expect(await shown()).toBe("none");
    expect((await attacked.invoke(fn, { hosts })).value).not.toContain("reached");
    expect(around.caught()).toEqual([]);
  });

  testOnce("may be deployed with one, and without it again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-deployed-"));
    try {
      await writeFile(join(folder, "index.mjs"), "export const handler = () => 1;\n");
      await writeFile(join(folder, "mayfly.json"), JSON.stringify({ name: "deployed", egress: "internet" }));
      const deploy = async (...more: string[]) => (await attacked.system.mayfly("deploy", folder, ...more)).code;
      const egress = async () => JSON.parse((await attacked.system.mayfly("show", "deployed", "--json")).stdout).Egress;
      expect([await deploy(), await egress()]).toEqual([0, ["internet"]]);
      expect([await deploy("--egress", "198.51.100.0/24:443"), await egress()]).toEqual([0, ["198.51.100.0/24:443"]]);
      expect([await deploy("--egress", "everything"), await egress()]).toEqual([2, ["198.51.100.0/24:443"]]);
      expect([await deploy("--egress", "none"), await egress()]).toEqual([0, []]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  testOnce("isn't let to ask for what nobody permits", async () => {
    const fn = await attacked.node(`return "ran";`);
    const refusals = [
      ["egress=192.168.99.9:5432", 3, /InvalidParameterValueException: .*192\.168\.99\.9:5432 .*MAYFLY_EGRESS_PRIVATE/],
      ["egress=internet,10.0.0.0/8", 3, /InvalidParameterValueException: .*10\.0\.0\.0\/8 is in/],
      ["egress=127.0.0.1", 2, /no function may reach 127\.0\.0\.1/],
      ["egress=169.254.169.254:80", 2, /no function may reach 169\.254\.169\.254:80/],
      ["egress=everything", 2, /"everything" is no destination/],
      ["egress=2001:db8::1", 2, /"2001:db8::1" is no destination/],
    ] as const;
    for (const [word, exit, why] of refusals) {
      const { code, stderr } = await attacked.system.mayfly("config", "set", fn, word);
      expect([word, code, stderr]).toEqual([word, exit, expect.stringMatching(why)]);
    }
    expect((await attacked.invoke(fn)).value).toBe("ran");
  });

  test("is not led into a private network by a name either", async () => {
    const fn = await attacked.node(DIAL);
    await let_(fn, "internet");
    around.caught();
    const inside = [...PRIVATE, ...METADATA, HOST[0]].map((each) => `${each.replaceAll(".", "-")}.example.com`);
    const { value } = await attacked.invoke(fn, { hosts: ["public.example.com", ...inside] });
    expect(value).toEqual(["reached", ...inside.map(() => expect.not.stringMatching(/reached|silence/))]);
    expectOnlyPublic();
  });

  test("reaches no service of the host, of private networks or of the cloud", async () => {
    const fn = await attacked.node(DIAL);
    await let_(fn, "internet");
    around.caught();
    const { value } = await attacked.invoke(fn, { hosts: [PUBLIC, ...FORBIDDEN] });
    expect(value).toEqual(["reached", ...FORBIDDEN.map(() => expect.not.stringMatching(/reached|silence/))]);
    expectOnlyPublic();
  });

  test("doesn't reach the platform's NATS server under any address", async () => {
    const fn = await attacked.node(DIAL);
    await let_(fn, "internet");
    await attacked.invoke(fn, { hosts: [PUBLIC] });
    const { natsUrl } = JSON.parse((await attacked.system.mayfly("env", "--json")).stdout);
    const inside = Number(new URL(natsUrl).port);
    const { client_id: before = 0 } = (await attacked.system.connect()).info ?? {};
    const hosts = ["127.0.0.1", "localhost", "sandbox", "0.0.0.0", "169.254.100.2", ...HOST];
    const { value } = await attacked.invoke(fn, { hosts, port: inside });
    expect(value).not.toContain("reached");
    expect((await attacked.system.connect()).info?.client_id).toBe(before + 1);
  });

  test("neither hears nor reaches another function's sandbox", async () => {
    const listener = await attacked.node(`
      const server = require("node:net").createServer((socket) => { event.heard = true; socket.end("come in"); });
      await new Promise((listening) => server.listen(event.port, "0.0.0.0", listening));
      await new Promise((done) => setTimeout(done, event.ms));
      return event.heard ?? false;`);
    const dialler = await attacked.node(DIAL);
    await let_(listener, "internet");
    await let_(dialler, "internet");
    await attacked.invoke(dialler, { hosts: [] });
    const listening = attacked.invoke(listener, { port: 7070, ms: 1500 });
    const { value } = await attacked.invoke(dialler, { hosts: ["169.254.100.100", ...HOST], port: 7070 });
    expect(value).not.toContain("reached");
    expect((await listening).value).toBe(false);
  });

  testUnless(noPython)("changes nothing about its network, and sends nothing in another's name", async () => {
    const fn = await attacked.python(`
import ctypes, errno, fcntl, os, socket, struct
def attempt(act):
    try:
        act(); return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
def netlink(family, kind, body):
    s = socket.socket(16, socket.SOCK_RAW, family); s.bind((0, 0)); s.settimeout(2)
    s.send(struct.pack('=IHHII', 16 + len(body), kind, 0x605, 1, 0) + body)
    code = -struct.unpack_from('=i', s.recv(4096), 16)[0]
    if code: raise OSError(code, 'netlink')
tap = socket.if_nametoindex('tap0')
route = struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack('=HHI', 8, 4, tap)
address = struct.pack('=BBBBI', 2, 32, 0, 0, tap) + struct.pack('=HH', 8, 2) + socket.inet_aton('10.20.0.9')
def option(level, name, value):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(level, name, value); return s
def freebind():
    s = option(0, 15, 1); s.bind(('10.20.0.9', 0)); s.sendto(b'spoofed', ('${PUBLIC}', ${PORT}))
def pktinfo():
    info = struct.pack('=I4s4s', 0, socket.inet_aton('10.20.0.9'), socket.inet_aton('0.0.0.0'))
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'spoofed'], [(0, 8, info)], 0, ('${PUBLIC}', ${PORT}))
def put(path):
    with open(path, 'w') as f: f.write('1')
def loose():
    s = socket.socket(); s.setsockopt(0, 24, struct.pack('=I', tap)); s.settimeout(1); s.connect(('10.20.0.2', ${PORT}))
def down():
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'tap0', 0))
def routed():
    s = socket.socket(); s.settimeout(1); s.setsockopt(0, 4, bytes([131, 11, 4]) + socket.inet_aton('${PUBLIC}') + socket.inet_aton('10.20.0.2')); s.connect(('${PUBLIC}', ${PORT}))
acts = { 'flush rules': lambda: netlink(12, 0x0a02, struct.pack('=BBH', 1, 0, 0)), 'route': lambda: netlink(0, 24, route), 'address': lambda: netlink(0, 20, address),
    'link': lambda: netlink(0, 17, struct.pack('=BxHiII', 0, 0, tap, 0, 0)), 'down': down, 'raw': lambda: socket.socket(2, 3, 17), 'packet': lambda: socket.socket(17, 3, 768),
    'transparent': lambda: option(0, 19, 1), 'mark': lambda: option(1, 36, 7), 'freebind': freebind, 'pktinfo': pktinfo, 'source route': routed, 'loose': loose,
    'forward': lambda: put('/proc/sys/net/ipv4/ip_forward'), 'tun': lambda: open('/dev/net/tun', 'r+b', 0), 'filter': lambda: option(0, 64, bytes(64)), 'tables': lambda: option(0, 64, bytes(96)) }
return { name: attempt(act) for name, act in acts.items() }`);
    await let_(fn, "internet");
    around.caught();
    const { value, error } = await attacked.invoke(fn);
    expect(error).toBeUndefined();
    expect(Object.entries(value as object).filter(([, came]) => came === "done")).toEqual([]);
    expectOnlyPublic();
    // And it is the same network as before.
    const after = await attacked.node(DIAL);
    await let_(after, "internet");
    expect((await attacked.invoke(after, { hosts: [PUBLIC, "10.20.0.2"] })).value).toEqual(["reached", "EHOSTUNREACH"]);
  });

  testOnce("by a flood of datagrams and connections harms nobody else who has a network", async () => {
    const other = await attacked.node(DIAL);
    await let_(other, "internet");
    await attacked.invoke(other, { hosts: [] });
    const flood = await attacked.node(
      `${DIALLER}
      const socket = require("node:dgram").createSocket("udp4");
      await new Promise((bound) => socket.bind(0, bound));
      for (let port = 1; port < 5000; port++) socket.send(Buffer.alloc(1400), port, "${PUBLIC}", () => {});
      const all = await Promise.all(Array.from({ length: 2000 }, () => dial("${PUBLIC}", ${PORT}, 2000)));
      return all.length;`,
      { timeout: 20 },
    );
    await let_(flood, "internet");
    const flooding = attacked.invoke(flood);
    expect((await attacked.invoke(other, { hosts: [PUBLIC] })).value).toEqual(["reached"]);
    expect((await flooding).refused).toBeUndefined();
    expect((await attacked.invoke(other, { hosts: [PUBLIC] })).value).toEqual(["reached"]);
    around.caught();
  });
});
