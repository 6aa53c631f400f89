/**
 * A process that holds a network namespace and listens in it, started by `surroundings.ts`. What it is told over its IPC
 * channel it does; whatever reaches one of its addresses it tells.
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

export type BaitOrder =
  | { readonly listen: { readonly addresses: readonly string[]; readonly ports: readonly number[] } }
  /** Answers every question for an address, at `address` port 53: with `answer`, or for `10-1-2-3.…` with 10.1.2.3. */
  | { readonly nameServer: { readonly address: string; readonly answer: string } }
  /** Leads from a path in the file system to a port of this namespace. */
  | { readonly door: { readonly path: string; readonly port: number } };

export interface BaitWord {
  readonly done?: true;
  readonly failed?: string;
  /** Such as `tcp 198.51.100.7:8080`. */
  readonly caught?: string;
}

const tell = (word: BaitWord): void => void process.send?.(word);

async function bait(address: string, port: number): Promise<void> {
  const at = address.includes(":") ? `[${address}]` : address;
  const server = createServer((socket) => {
    tell({ caught: `tcp ${at}:${port}` });
    socket.on("error", () => {}).end(`from ${address}\n`);
  });
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (_, from) => {
    tell({ caught: `udp ${at}:${port}` });
    socket.send(`from ${address}`, from.port, from.address);
  });
  await Promise.all([
    new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, address, resolve)),
    new Promise<void>((resolve, reject) => socket.once("error", reject).bind(port, address, resolve)),
  ]);
}

async function nameServer(address: string, answer: string): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("message", (question, from) => {
    const end = question.indexOf(0, 12) + 5;
    const isForIPv4 = question.readUInt16BE(end - 4) === 1;
    const head = Buffer.from(question.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isForIPv4 ? 1 : 0, 6);
    head.writeUInt32BE(0, 8);
    const name = question
      .subarray(13, end - 5)
      .toString("latin1")
      .replace(/[^\w-]/g, ".");
    tell({ caught: `name ${name}` });
    const [own] = /^\d+(-\d+){3}(?=\.)/.exec(name) ?? [];
    const address = (own?.replaceAll("-", ".") ?? answer).split(".").map(Number);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address]);
    const reply = Buffer.concat([head, question.subarray(12, end), ...(isForIPv4 ? [record] : [])]);
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => socket.once("error", reject).bind(53, address, resolve));
}

async function door(path: string, port: number): Promise<void> {
  const server = createServer((outside) => {
    const inside = connect(port, "127.0.0.1");
    outside.on("error", () => inside.destroy()).on("close", () => inside.destroy());
    inside.on("error", () => outside.destroy()).on("close", () => outside.destroy());
    outside.pipe(inside).pipe(outside);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
}

process.on("message", (order: BaitOrder) => {
  const obey = async () => {
    if ("door" in order) return door(order.door.path, order.door.port);
    if ("nameServer" in order) return nameServer(order.nameServer.address, order.nameServer.answer);
    const { addresses, ports } = order.listen;
    await Promise.all(addresses.flatMap((address) => ports.map((port) => bait(address, port))));
  };
  obey().then(
    () => tell({ done: true }),
    (error: Error) => tell({ failed: error.message }),
  );
});
// It ends with whoever started it, and its namespace with it.
process.on("disconnect", () => process.exit());
tell({ done: true });
