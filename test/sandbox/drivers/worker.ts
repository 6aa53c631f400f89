/**
 * A worker in miniature, run as a child process so that tests can start it as another user, in private mounts, and
 * kill it. It has one driver and does what it is told over its IPC channel, one request at a time or several.
 */
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { text } from "node:stream/consumers";
import { chooseDriver } from "../../../actors/sandbox/drivers/choose.ts";
import type {
  Booted,
  DriverName,
  Enclosure,
  EnclosureSpec,
  Exit,
  Isolation,
  Mount,
} from "../../../actors/sandbox/drivers/driver.ts";

export interface Life {
  readonly said: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: Exit;
  readonly peakMemoryBytes: number;
  readonly keptBytes: number;
}

/** What the worker does: requests by name, with their arguments and answers. */
export interface Requests {
  open(home: string, driver: DriverName, egress: EgressSettings): Isolation;
  /** Creates an enclosure, boots it so often, each time to its end, and destroys it. */
  run(spec: EnclosureSpec, times: number, input: string): Life[];
  /** Creates and boots, and answers once the program has said something. */
  start(spec: EnclosureSpec): string;
  /** Creates and boots without waiting for anything. */
  begin(spec: EnclosureSpec): void;
  /** The first thing the program says after `input` was written to its channel. */
  tell(id: string, input: string): string;
  freeze(id: string): void;
  thaw(id: string): void;
  place(id: string, mounts: readonly Mount[]): void;
  kill(id: string): Exit;
  /** Undefined where that isn't seen from outside. */
  isCalledAt(id: string, port: number): boolean | undefined;
  reboot(id: string): string;
  destroy(id: string): void;
  /** Answers when the driver says that it can make no sandbox any more, and why. */
  lost(): string | undefined;
  /** Takes all descriptors it may have, but for as many. */
  leave(descriptors: number): void;
  close(): void;
}

/** `EgressOptions`, as they can be sent. */
export interface EgressSettings {
  readonly way?: "off";
  readonly permitted?: readonly string[];
  readonly platform?: readonly string[];
  readonly refreshMs?: number;
}

export type Call = { [name in keyof Requests]: { name: name; args: Parameters<Requests[name]> } }[keyof Requests];

let opened: Awaited<ReturnType<typeof chooseDriver>>;
const running = new Map<string, { enclosure: Enclosure; booted: Booted }>();

const hoard: number[] = [];

const firstWord = async (booted: Booted): Promise<string> => {
  const data = await Promise.race([
    new Promise<Buffer>((resolve) => booted.channel.once("data", resolve)),
    booted.exited.then(async (exit) =>
      Buffer.from(`ended early: ${JSON.stringify(exit)} ${await text(booted.stderr)}`),
    ),
  ]);
  return String(data);
};

const handlers: { [name in keyof Requests]: (...args: Parameters<Requests[name]>) => Promise<unknown> } = {
  async open(home, driver, { platform = [], ...egress }) {
    opened = await chooseDriver(driver, { home, egress: { ...egress, platform: async () => platform } });
    return opened.isolation;
  },
  async run(spec, times, input) {
    const enclosure = await opened.driver.create(spec);
    const lives: Life[] = [];
    try {
      for (let time = 0; time < times; time++) {
        const booted = await enclosure.boot();
        if (input) booted.channel.write(input);
        const [said, stdout, stderr, exit] = await Promise.all([
          text(booted.channel),
          text(booted.stdout),
          text(booted.stderr),
          booted.exited,
        ]);
        const { peakMemoryBytes } = await enclosure.stats();
        lives.push({ said, stdout, stderr, exit, peakMemoryBytes, keptBytes: await enclosure.keptBytes() });
      }
    } finally {
      await enclosure.destroy();
    }
    return lives;
  },
  async start(spec) {
    const enclosure = await opened.driver.create(spec);
    const booted = await enclosure.boot();
    running.set(spec.id, { enclosure, booted });
    return firstWord(booted);
  },
  async begin(spec) {
    const enclosure = await opened.driver.create(spec);
    running.set(spec.id, { enclosure, booted: await enclosure.boot() });
  },
  async tell(id, input) {
    const { booted } = running.get(id)!;
    const answer = once(booted.channel, "data");
    booted.channel.write(input);
    return String((await answer)[0]);
  },
  async freeze(id) {
    await running.get(id)!.enclosure.freeze();
  },
  async thaw(id) {
    await running.get(id)!.enclosure.thaw();
  },
  async place(id, mounts) {
    await running.get(id)!.enclosure.placeCode(mounts);
  },
  async kill(id) {
    const { booted } = running.get(id)!;
    await booted.kill();
    return booted.exited;
  },
  async isCalledAt(id, port) {
    return running.get(id)!.booted.isCalledAt?.(port);
  },
  async reboot(id) {
    const { enclosure } = running.get(id)!;
    const booted = await enclosure.boot();
    running.set(id, { enclosure, booted });
    return firstWord(booted);
  },
  async destroy(id) {
    await running.get(id)!.enclosure.destroy();
  },
  async lost() {
    return opened.driver.lost;
  },
  async leave(descriptors) {
    for (const taken of hoard.splice(0)) closeSync(taken);
    try {
      for (;;) hoard.push(openSync("/dev/null", "r"));
    } catch {
      for (const taken of hoard.splice(0, descriptors)) closeSync(taken);
    }
  },
  async close() {
    await opened.driver.close();
    process.disconnect();
  },
};

process.on("message", async ({ call, number }: { call: Call; number: number }) => {
  const handler = handlers[call.name] as (...args: unknown[]) => Promise<unknown>;
  const answer = await handler(...call.args).then(
    (value) => ({ number, value }),
    (error: Error) => ({ number, error: { name: error.name, message: error.message } }),
  );
  process.send?.(answer, () => {});
});
