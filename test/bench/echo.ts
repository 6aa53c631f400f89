/** The baseline's other end, in a process of its own: answers a request with its own bytes. Arguments: URL, subject. */
import { connectNats } from "../../actors/bus/nats.ts";

const [url = "", user = "", password = "", subject = ""] = process.argv.slice(2);
const connection = await connectNats({ url, user, password, name: "bench echo" });
connection.subscribe(subject, { callback: (_, message) => void message.respond(message.data) });
await connection.flush();
process.stdout.write("ready\n");
process.stdin.resume().once("end", () => process.exit(0));
