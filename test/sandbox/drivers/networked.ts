/** Sandboxes with a network, for tests: whether there can be any here, and how they find out what they reach. */
import type { DriverName, EnclosureSpec } from "../../../actors/sandbox/drivers/driver.ts";
import { findSlirpTools } from "../../../actors/sandbox/drivers/egress/host.ts";
import { noSurroundings, PORTS } from "../../support/surroundings.ts";
import { enclosure, isolating, node } from "./hosted.ts";

/** Why there can be none; undefined where there can. */
export const networkless: string | undefined =
  noSurroundings ??
  (await findSlirpTools().then(
    () => undefined,
    (error: Error) => error.message,
  ));

/** The drivers whose sandboxes must then have one: all that isolate, but gVisor, which has a network stack of its own. */
export const networking: readonly DriverName[] =
  networkless === undefined ? isolating.filter((driver) => driver !== "oci:runsc") : [];

/** One that says it is ready and stays. */
export const staying = (): EnclosureSpec =>
  enclosure(node(`require("fs").writeSync(3, "ready"); setTimeout(() => process.exit(), 100000)`), {
    egress: ["internet"],
  });

/** Every way to knock at `hosts`. */
export const at = (hosts: readonly string[]): string[] =>
  hosts.flatMap((host) => PORTS.flatMap((port) => [`tcp ${host} ${port}`, `udp ${host} ${port}`]));

/** Of what `knock` printed, the doors that were answered at. */
export const answered = (printed: string): string[] =>
  (JSON.parse(printed) as Array<[string, string]>).flatMap(([door, came]) => (came === "answer" ? [door] : []));

/** Who hasn't answered for so long never will: also on a machine that is slow to open the way, where a datagram waits as long as a connection. */
const SILENT_MS = 3000;

/** Knocks at each `tcp|udp host port` of the argument, all at once, and prints what came of it. */
export const knock = (doors: readonly string[]): string[] =>
  node(`const { connect } = require("net");
    const tcp = (host, port) => new Promise((tell) => {
      const socket = connect({ host, port });
      socket.setTimeout(${SILENT_MS}, () => { tell("silence"); socket.destroy(); });
      socket.on("data", () => tell("answer")).on("error", (error) => tell(error.code));
    });
    const udp = (host, port) => new Promise((tell) => {
      const socket = require("dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
      const late = setTimeout(() => { tell("silence"); socket.close(); }, ${SILENT_MS});
      const end = (word) => { clearTimeout(late); tell(word); socket.close(); };
      socket.on("message", () => end("answer")).on("error", (error) => end(error.code));
      socket.send("hello", port, host, (error) => error && end(error.code));
    });
    Promise.all(${JSON.stringify(doors)}.map(async (door) => {
      const [how, host, port] = door.split(" ");
      return [door, await (how === "tcp" ? tcp : udp)(host, Number(port))];
    })).then((all) => console.log(JSON.stringify(all)));`);
