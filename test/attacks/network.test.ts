/** Attacks that want to talk: to the host, to its NATS, to a cloud's metadata, to another sandbox, to anybody. */
import { createSocket } from "node:dgram";
import { type AddressInfo, connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { testUnless } from "../support/unless.ts";
import { type Attacked, noPython, startAttacked, underEachDriver } from "./attacked.ts";

/** Where clouds tell machines their credentials: AWS, its container and IPv6 variants, Alibaba, Oracle, Azure's wire server. */
const METADATA = [
  "169.254.169.254",
  "169.254.170.2",
  "fd00:ec2::254",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
];

/** Linux's answer, and gVisor's. */
const NO_WAY = /^E(NET|HOST)UNREACH$/;

underEachDriver("under %s, a function that wants to talk", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  const dialler = `
    const { connect } = require("node:net");
    const dial = (host, port) => new Promise((tell) => {
      const socket = connect({ host, port });
      socket.setTimeout(2000, () => { tell("silence"); socket.destroy(); });
      socket.on("connect", () => { socket.end("hello"); tell("reached"); }).on("error", (error) => tell(error.code));
    });`;

  test("to a listener on any address of the host reaches none", async () => {
    let caught = 0;
    const bait = createServer((socket) => {
      caught += 1;
      socket.on("error", () => {}).end();
    });
    await new Promise<void>((listening) => bait.listen(0, "::", listening));
    const { port } = bait.address() as AddressInfo;
    try {
      const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      const hosts = ["127.0.0.1", "::1", "0.0.0.0", "127.0.0.53", ...own.map(({ address }) => address)];
      // The bait is one: the test itself reaches it.
      await new Promise<void>((reached) => connect(port, "127.0.0.1", reached).on("error", () => {}));
      await expect.poll(() => caught).toBe(1);
      const fn = await attacked.node(`${dialler} return Promise.all(event.hosts.map((host) => dial(host, ${port})));`);
      const { value } = await attacked.invoke(fn, { hosts });
      expect(value).toHaveLength(hosts.length);
      expect(value).not.toContain("reached");
      expect(caught).toBe(1);
    } finally {
      await new Promise((closed) => bait.close(closed));
    }
  });

  test("to the platform's NATS server reaches it under none of its addresses", async () => {
    const fn = await attacked.node(`${dialler} return Promise.all(event.hosts.map((host) => dial(host, event.port)));`);
    await attacked.invoke(fn, { hosts: [], port: 1 });
    const { port, client_id: before = 0 } = (await attacked.system.connect()).info ?? {};
    const { value } = await attacked.invoke(fn, { hosts: ["127.0.0.1", "localhost", "::1", "sandbox"], port });
    expect(value).toEqual(expect.not.arrayContaining(["reached", "silence"]));
    // Whoever connects is given the next number, also when it is turned away.
    const next = await attacked.system.connect();
    expect(next.info?.client_id).toBe(before + 1);
  });

  test("to a cloud's metadata service finds no way there", async () => {
    const fn = await attacked.node(`${dialler} return Promise.all(event.hosts.map((host) => dial(host, 80)));`);
    const { value } = await attacked.invoke(fn, { hosts: METADATA });
    for (const came of value as string[]) expect(came).toMatch(NO_WAY);
  });

  test("by datagrams, broadcast or name look-ups sends nothing", async () => {
    const bait = createSocket("udp4");
    let caught = 0;
    bait.on("message", () => (caught += 1));
    await new Promise<void>((bound) => bait.bind(0, bound));
    const { port } = bait.address();
    try {
      const fn = await attacked.node(`
        const socket = require("node:dgram").createSocket("udp4");
        await new Promise((bound) => socket.bind(0, bound));
        socket.setBroadcast(true);
        const send = (host) => new Promise((tell) => socket.send("loot", event.port, host, (error) => tell(error?.code ?? "sent")));
        const names = await Promise.all(["loot.example.com", "metadata.google.internal"].map((name) => require("node:dns/promises").lookup(name).then(() => "found", (error) => error.code)));
        return [await Promise.all(event.hosts.map(send)), names];`);
      const hosts = ["255.255.255.255", "224.0.0.1", "8.8.8.8", "169.254.169.254"];
      const { value } = await attacked.invoke(fn, { hosts, port });
      const [sent, names] = value as [string[], string[]];
      expect(sent).toHaveLength(hosts.length);
      for (const came of sent) expect(came).toMatch(NO_WAY);
      expect(names).not.toContain("found");
      expect(caught).toBe(0);
    } finally {
      await new Promise<void>((closed) => bait.close(closed));
    }
  });

  test("by a door of its own is heard by nobody outside", async () => {
    const fn = await attacked.node(`
      const server = require("node:net").createServer((socket) => socket.end("come in"));
      await new Promise((listening) => server.listen(event.port, "0.0.0.0", listening));
      return new Promise((done) => setTimeout(done, event.ms, "open"));`);
    const other = await attacked.node(`${dialler} return dial("127.0.0.1", event.port);`);
    const probe = createServer().listen(0);
    const { port } = probe.address() as AddressInfo;
    await new Promise((closed) => probe.close(closed));
    const open = attacked.invoke(fn, { port, ms: 1500 });
    const fromHost = () =>
      new Promise<string>((tell) => {
        connect(port, "127.0.0.1", () => tell("reached")).on("error", (error: NodeJS.ErrnoException) =>
          tell(error.code ?? ""),
        );
      });
    const [inside, outside] = await Promise.all([attacked.invoke(other, { port }), fromHost()]);
    expect([inside.value, outside]).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
    expect((await open).value).toBe("open");
  });

  testUnless(noPython)("by making an interface, a route or a raw packet may not", async () => {
    const fn = await attacked.python(`
import ctypes, errno, fcntl, socket, struct
def attempt(act):
    try:
        act(); return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
def netlink(kind, body):
    s = socket.socket(16, socket.SOCK_RAW, 0); s.bind((0, 0)); s.settimeout(2)
    s.send(struct.pack('=IHHII', 16 + len(body), kind, 0x605, 1, 0) + body)
    code = -struct.unpack_from('=i', s.recv(4096), 16)[0]
    if code: raise OSError(code, 'netlink')
link = struct.pack('=BxHiII', 0, 0, 0, 0, 0)
route = struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0)
def flags():
    s = socket.socket(); fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'lo', 0))
def tun():
    f = open('/dev/net/tun', 'r+b', 0); fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'evil0', 2))
return [attempt(lambda: netlink(16, link + struct.pack('=HH8s', 12, 3, b'evil0'))), attempt(lambda: netlink(24, route)), attempt(flags), attempt(tun),
    attempt(lambda: socket.socket(2, 3, 1)), attempt(lambda: socket.socket(17, 3, 768))]`);
    const { value, error } = await attacked.invoke(fn);
    expect(error).toBeUndefined();
    // gVisor has refusals of its own, and a /dev/net/tun that belongs to the network it makes up.
    const expected =
      driver === "oci:runsc"
        ? ["EACCES", "EACCES", "ENOTTY", expect.any(String), "EPERM", "EPERM"]
        : ["EPERM", "EPERM", "EPERM", "ENOENT", "EPERM", "EAFNOSUPPORT"];
    expect(value).toEqual(expected);
  });
});
