/**
 * A host with the whole world around it, made of two network namespaces and a cable: nothing that is sent in there leaves
 * this machine, nor reaches its own network. At every address of the world, and of the host, sits a bait.
 */
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BaitOrder, BaitWord } from "./bait.ts";

export const PORTS = [8080, 9090] as const;
/** What a name stands for in there, and what the internet is. */
export const PUBLIC = "198.51.100.7";
export const NAME_SERVER = "198.51.100.53";
export const HOST = ["203.0.113.2", "10.20.0.2", "192.168.7.2", "2001:db8::2"] as const;
export const PRIVATE = ["10.20.0.1", "10.66.0.1", "172.16.5.5", "192.168.99.9", "100.64.1.1", "198.18.0.9"] as const;
/** Where clouds tell machines about themselves. */
export const METADATA = [
  "169.254.169.254",
  "169.254.170.2",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
] as const;
export const PUBLIC_IPV6 = "2001:db8:1::7";

const WORLD = ["203.0.113.1", PUBLIC, NAME_SERVER, ...PRIVATE, ...METADATA, "2001:db8::1", PUBLIC_IPV6];

export interface Surroundings extends AsyncDisposable {
  /** What to put before a command so that it runs on the host in there, in a mount namespace of its own. */
  readonly enter: readonly string[];
  /** What was caught since the last time, by `tcp|udp <address>:<port>` or `name <name>`. */
  caught(): string[];
  /** A TCP port out here that leads to one of 127.0.0.1 in there. */
  door(port: number): Promise<number>;
  /** Runs a program on the host in there to its end. */
  run(...command: string[]): string;
}

/** Why there can be none here; undefined where there can. */
export const noSurroundings: string | undefined =
  process.geteuid?.() !== 0
    ? "only root makes network namespaces with addresses of their own"
    : ["ip", "nft", "nsenter", "unshare"].find((each) => spawnSync("sh", ["-c", `command -v ${each}`]).status !== 0);

export async function makeSurroundings(): Promise<Surroundings> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-surroundings-"));
  const caught: string[] = [];
  const [host, world] = await Promise.all([hold(caught), hold(caught)]);
  const end = async () => {
    await Promise.all(
      [host, world].map(async (each) => {
        const gone = once(each, "exit");
        each.disconnect();
        await gone;
      }),
    );
    for (const server of doors) server.close();
    await rm(folder, { recursive: true, force: true });
  };
  const doors: ReturnType<typeof createServer>[] = [];
  try {
    const v6 = (address: string) => (address.includes(":") ? " nodad" : "");
    configure(host, [
      `link add up0 type veth peer name down0 netns ${world.pid}`,
      ...["203.0.113.2/24", "10.20.0.2/24", "2001:db8::2/64 nodad"].map((each) => `addr add ${each} dev up0`),
      ...["link set lo up", "addr add 192.168.7.2/32 dev lo", "link set up0 up"],
    ]);
    configure(world, [
      ...["203.0.113.1/24", "10.20.0.1/24", "2001:db8::1/64 nodad"].map((each) => `addr add ${each} dev down0`),
      ...["link set lo up", "link set down0 up"],
      ...WORLD.slice(1)
        .filter((each) => !["10.20.0.1", "2001:db8::1"].includes(each))
        .map((each) => `addr add ${each} dev lo${v6(each)}`),
    ]);
    configure(host, ["route add default via 203.0.113.1", "-6 route add default via 2001:db8::1"]);
    await tell(host, { listen: { addresses: ["127.0.0.1", ...HOST], ports: PORTS } });
    await tell(world, { listen: { addresses: WORLD, ports: PORTS } });
    await tell(world, { nameServer: { address: NAME_SERVER, answer: PUBLIC } });
    const resolvConf = join(folder, "resolv.conf");
    await writeFile(resolvConf, `nameserver ${NAME_SERVER}\n`);
    const enter = [
      ...["nsenter", `--net=/proc/${host.pid}/ns/net`, "--", "unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolvConf],
    ];
    return {
      enter,
      caught: () => caught.splice(0),
      async door(port) {
        const path = join(folder, `${port}`);
        if (!existsSync(path)) await tell(host, { door: { path, port } });
        const server = createServer((here) => {
          const there = connect(path);
          here.on("error", () => there.destroy()).on("close", () => there.destroy());
          there.on("error", () => here.destroy()).on("close", () => here.destroy());
          here.pipe(there).pipe(here);
        });
        doors.push(server);
        server.unref();
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return (server.address() as AddressInfo).port;
      },
      run(...command) {
        const [program = "", ...args] = [...enter, ...command];
        const { stdout, stderr, status } = spawnSync(program, args, { encoding: "utf8" });
        if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
        return stdout;
      },
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** A process in a network namespace of its own. */
async function hold(caught: string[]): Promise<ChildProcess> {
  const child = fork(fileURLToPath(import.meta.resolve("./bait.ts")), [], {
    execPath: "unshare",
    execArgv: ["--net", "--", process.execPath],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  child.on("message", (word: BaitWord) => {
    if (word.caught !== undefined) caught.push(word.caught);
  });
  return child;
}

function configure(holder: ChildProcess, orders: readonly string[]): void {
  for (const order of orders) {
    const [program = "", ...args] = ["nsenter", `--net=/proc/${holder.pid}/ns/net`, "--", "ip", ...order.split(" ")];
    const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${order}: ${stderr}`);
  }
}

function tell(holder: ChildProcess, order: BaitOrder): Promise<void> {
  return new Promise((resolve, reject) => {
    const hear = (word: BaitWord) => {
      if (word.caught !== undefined) return;
      holder.off("message", hear);
      if (word.failed === undefined) resolve();
      else reject(new Error(word.failed));
    };
    holder.on("message", hear);
    holder.send(order);
  });
}
