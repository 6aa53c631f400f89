/** The runtimes that sandboxes are measured with, each with a function that gives its event back. */
import type { RuntimeInit } from "../../actors/sandbox/runtime-init.ts";

export interface Subject {
  readonly name: string;
  readonly runtime: string;
  /** Its interpreter, printing one byte. */
  readonly bare: readonly string[];
  readonly code: Readonly<Record<string, string>>;
}

export const MEMORY_MIB = 128;
const PYTHON = ["/usr/bin/python3", "-c", "print('x', flush=True)"];

/** A runtime of the function's own in the little it takes: one connection to the Runtime API, one answer after the other. */
const BOOTSTRAP = `#!/usr/bin/python3 -IS
import os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
link = socket.create_connection((host, int(port)))
link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
heard = link.makefile("rb")

def ask(verb, path, body=b""):
    head = f"{verb} /2018-06-01/runtime/invocation/{path} HTTP/1.1\\r\\nHost: {host}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
    link.sendall(head.encode() + body)
    heard.readline()
    headers = {}
    while line := heard.readline().strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers, heard.read(int(headers.get(b"content-length", 0)))

while True:
    headers, event = ask("GET", "next")
    ask("POST", headers[b"lambda-runtime-aws-request-id"].decode() + "/response", event)
`;

export const SUBJECTS: readonly Subject[] = [
  {
    name: "Node",
    runtime: "nodejs24.x",
    bare: [process.execPath, "-e", "process.stdout.write('x')"],
    code: { "index.js": "exports.handler = async (event) => event;\n" },
  },
  {
    name: "Python",
    runtime: "python3.11",
    bare: PYTHON,
    code: { "index.py": "def handler(event, context):\n    return event\n" },
  },
  { name: "custom (Python)", runtime: "provided.al2023", bare: PYTHON, code: { bootstrap: BOOTSTRAP } },
];

/** With a port of its own where all sandboxes have one network. */
export const initOf = (runtime: string, taskRoot: string, ownNetwork: boolean): RuntimeInit => ({
  env: { PATH: "/usr/bin:/bin", LAMBDA_TASK_ROOT: taskRoot },
  handler: "index.handler",
  runtime,
  taskRoot,
  functionName: "bench",
  functionVersion: "1",
  memoryMiB: MEMORY_MIB,
  logFormat: "Text",
  ...(ownNetwork ? {} : { runtimeApi: "127.0.0.1:0" }),
});
