/**
 * A process of its own that starts the server and tells it in one JSON line; a test kills it.
 * Arguments: the home's folder, the server's path, the port.
 */
import { homeAt, prepareHome } from "../../bin/embedded/home.ts";
import { startNatsServer } from "../../bin/embedded/nats-server.ts";

const [folder = "", binary = "", port = ""] = process.argv.slice(2);
const home = await prepareHome(homeAt(folder));
const server = await startNatsServer({
  binary,
  home,
  port: Number(port),
  property: { subjects: [] },
  stamp: { account: "000000000000", asyncShards: 8 },
});
console.log(JSON.stringify({ pid: server.pid, url: server.url, notes: server.notes }));
process.stdin.once("end", async () => {
  await server.stop();
  process.exit(0);
});
process.stdin.resume();
