/** Puts a package into the CODE object store, by the SHA-256 of its bytes. What is there already isn't sent again. */
import { createHash } from "node:crypto";
import { Objm, setSha256Backend } from "@nats-io/obj";
import { Refused } from "../subjects/errors.ts";
import { CODE_BUCKET } from "../subjects/streams.ts";
import type { Session } from "./session.ts";

export interface Uploaded {
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** False when the same bytes were there before. */
  readonly sent: boolean;
}

/** Well below the server's largest message, and few enough round trips. */
const CHUNK_BYTES = 512 * 1024;

/** `onProgress` hears how many bytes have been handed to the server. */
export async function upload(
  session: Session,
  zip: Uint8Array,
  onProgress: (bytes: number) => void = () => {},
): Promise<Uploaded> {
  setSha256Backend("native");
  const sha256 = createHash("sha256").update(zip).digest("hex");
  const store = await new Objm(session.connection).open(CODE_BUCKET);
  const known = await store.info(sha256);
  if (known !== null && !known.deleted && known.size === zip.length) return { sha256, sent: false };
  const object = { name: sha256, options: { max_chunk_size: CHUNK_BYTES } };
  await store.put(object, chunks(zip, onProgress)).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (!why.includes("Permissions Violation")) throw cause;
    throw new Refused("AccessDeniedException", `with these credentials no code may be stored on the server (${why})`);
  });
  return { sha256, sent: true };
}

function chunks(zip: Uint8Array, onProgress: (bytes: number) => void): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= zip.length) return controller.close();
      controller.enqueue(zip.subarray(at, at + CHUNK_BYTES));
      at = Math.min(zip.length, at + CHUNK_BYTES);
      onProgress(at);
    },
  });
}
