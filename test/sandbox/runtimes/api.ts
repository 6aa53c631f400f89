/** The APIs inside a sandbox as a test calls them itself, beside a bootstrap that only waits. */
import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { type Booted, boot, host } from "./booted.ts";

/** A bootstrap that only says where the API is and stays; the test makes the calls itself. */
const stays = `#!${process.execPath}
console.log("api=" + process.env.AWS_LAMBDA_RUNTIME_API);
setInterval(() => {}, 1000);
`;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Call {
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly trailers?: Record<string, string>;
}

export class Api implements AsyncDisposable {
  readonly #booted: Booted;
  readonly #address: string;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(booted: Booted, address: string) {
    this.#booted = booted;
    this.#address = address;
  }

  /** Gives the API of a fresh host, and the answer to its init frame, which comes later. */
  static async start() {
    const booted = await boot(host, { bootstrap: stays });
    const ready = booted.init();
    const [, address] = await booted.printedLike(/api=(\S+)/);
    return { booted, ready, api: new Api(booted, address!) };
  }

  get = (path: string, headers: Record<string, string> = {}) => this.#call("GET", path, { headers });
  post = (path: string, call: Call = {}) => this.#call("POST", path, call);
  put = (path: string, call: Call = {}) => this.#call("PUT", path, call);
  next = () => this.get("/2018-06-01/runtime/invocation/next");
  answer = (id: string, kind: "response" | "error", call: Call = {}) =>
    this.post(`/2018-06-01/runtime/invocation/${id}/${kind}`, call);

  /** Begins an answer and ends before its declared end; gives what it is told. */
  async cutShort(id: string): Promise<string> {
    const [host, port] = this.#address.split(":");
    const socket = connect(Number(port), host);
    const path = `/2018-06-01/runtime/invocation/${id}/response`;
    socket.end(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort`);
    return (await socket.setEncoding("utf8").toArray()).join("");
  }

  /** Begins a streamed answer; the test writes it. */
  streamed(id: string, headers: Record<string, string> = {}) {
    const [host, port] = this.#address.split(":");
    const path = `/2018-06-01/runtime/invocation/${id}/response`;
    const mode = { "lambda-runtime-function-response-mode": "streaming", "transfer-encoding": "chunked" };
    return request({ host, port, method: "POST", path, headers: { ...mode, ...headers }, agent: this.#agent });
  }

  async #call(method: string, path: string, { body, headers = {}, trailers }: Call): Promise<Answer> {
    const [host, port] = this.#address.split(":");
    const sent = request({ host, port, method, path, headers, agent: this.#agent });
    if (trailers) {
      sent.write(body ?? "");
      sent.addTrailers(trailers);
      sent.end();
    } else sent.end(body);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const text = (await response.setEncoding("utf8").toArray()).join("");
    return { status: response.statusCode!, headers: response.headers, body: text };
  }

  async [Symbol.asyncDispose]() {
    this.#agent.destroy();
    await this.#booted[Symbol.asyncDispose]();
  }
}

export const accepted = { status: 202, body: '{"status":"OK"}' };

export function refusal(answer: Answer) {
  return { status: answer.status, errorType: (JSON.parse(answer.body) as { errorType: string }).errorType };
}
