/** External extensions to test with, and a bootstrap; all say what they do in lines that the test can wait for. */

const prelude = `#!${process.execPath}
const http = require("node:http");
const path = require("node:path");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const call = (method, path, { headers = {}, body } = {}) => new Promise((resolve) => {
  const sent = http.request({ host, port, method, path, headers }, (response) => {
    const chunks = [];
    response.on("data", (chunk) => chunks.push(chunk)).on("end", () =>
      resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }));
  });
  sent.on("error", () => {});
  sent.end(body);
});
const name = path.basename(process.argv[1]);
const register = (events, more = {}) => call("POST", "/2020-01-01/extension/register", {
  headers: { "Lambda-Extension-Name": name, ...more }, body: JSON.stringify({ events }) });
const identified = (answer) => ({ "Lambda-Extension-Identifier": answer.headers["lambda-extension-identifier"] });
const nextEvent = async (id) => JSON.parse((await call("GET", "/2020-01-01/extension/event/next", { headers: id })).text);
`;

/** The body of an async function that has `register`, `identified`, `nextEvent`, `call` and `name`. */
export const extension = (script: string): string => `${prelude}(async () => {\n${script}\n})();\n`;

/** Registers, and prints each event it is given; ends at SHUTDOWN. */
export const listening = (events: readonly string[], atInvoke = ""): string =>
  extension(`
  const id = identified(await register(${JSON.stringify(events)}));
  for (;;) {
    const event = await nextEvent(id);
    console.log(name + " got " + JSON.stringify(event));
    if (event.eventType === "SHUTDOWN") process.exit(0);
    ${atInvoke}
  }`);

/** A runtime that answers every event with itself, says so when it is asked to end, and then does. */
export const echoing = extension(`
  process.on("SIGTERM", () => { console.log("runtime got SIGTERM"); process.exit(0); });
  console.log("runtime started");
  for (;;) {
    const next = await call("GET", "/2018-06-01/runtime/invocation/next");
    const id = next.headers["lambda-runtime-aws-request-id"];
    const event = JSON.parse(next.text);
    if (event.print) console.log(event.print);
    if (event.exit !== undefined) process.exit(event.exit);
    if (event.hang) continue;
    await call("POST", "/2018-06-01/runtime/invocation/" + id + "/response", { body: next.text });
  }`);
