/**
 * Messages as a NATS client writes them. All that leaves at once becomes one text, but for payloads that are bytes: encoded
 * one by one, what a warm call says costs more than anything else about it. Source: NATS docs, "Client protocol".
 */
import type { Said } from "./port.ts";

/** It can't be sent by anybody to this server. */
export class Unsendable extends Error {
  override readonly name = "Unsendable";
}

const SPACE = /\s/;
const LINE_END = /[\r\n]/;

export class Wire {
  readonly #maxPayload: number;
  readonly #pieces: Array<string | Uint8Array> = [];
  #text = "";

  /** `maxPayload`: bytes a message may have, its headers included, as the server told. */
  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /** Throws `Unsendable`, and then adds nothing. */
  add({ subject, replyTo, headers, payload }: Said): void {
    const to = replyTo === undefined ? subjectOf(subject) : `${subjectOf(subject)} ${subjectOf(replyTo)}`;
    const head = headers === undefined ? "" : headOf(headers);
    const headBytes = Buffer.byteLength(head);
    const bytes = headBytes + (typeof payload === "string" ? Buffer.byteLength(payload) : payload.length);
    if (bytes > this.#maxPayload)
      throw new Unsendable(`${bytes} bytes are more than the ${this.#maxPayload} of a message`);
    this.#text += head === "" ? `PUB ${to} ${bytes}\r\n` : `HPUB ${to} ${headBytes} ${bytes}\r\n${head}`;
    if (typeof payload === "string") {
      this.#text += `${payload}\r\n`;
    } else {
      this.#pieces.push(this.#text, payload);
      this.#text = "\r\n";
    }
  }

  /** What was added, in its order. */
  *bytes(): Generator<Uint8Array> {
    for (const piece of [...this.#pieces, this.#text]) {
      if (piece.length > 0) yield typeof piece === "string" ? Buffer.from(piece) : piece;
    }
  }
}

function subjectOf(subject: string): string {
  if (subject === "" || SPACE.test(subject)) throw new Unsendable(`"${subject}" is no subject`);
  return subject;
}

function headOf(headers: Readonly<Record<string, string>>): string {
  let head = "NATS/1.0\r\n";
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (LINE_END.test(value)) throw new Unsendable(`the header ${name} has more than one line`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}
