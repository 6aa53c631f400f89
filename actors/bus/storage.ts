/**
 * What components keep: JSON in KV buckets with compare-and-set, and code packages in an object store.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { type KV, type KvEntry, Kvm } from "@nats-io/kv";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import type { NatsConnection } from "nats";
import {
  CODE_BUCKET,
  FUNCTIONS_BUCKET,
  LAYERS_BUCKET,
  LEASES_BUCKET,
  TRIGGERS_BUCKET,
} from "../../subjects/streams.ts";
import { makeStreams, type StreamOptions, storedIn } from "./streams.ts";

export interface Entry {
  readonly key: string;
  /** Parsed JSON; `undefined` when the key was deleted. */
  readonly value: unknown;
  /** To be given back on `update`: the write fails when somebody else wrote in between. */
  readonly revision: number;
}

/** Thrown by `create` and `update` when the key is not as the writer believed. */
export class Conflict extends Error {
  override readonly name = "Conflict";
}

export interface Bucket {
  /** The current entry, or `undefined` if the key was never written or is deleted. */
  get(key: string): Promise<Entry | undefined>;
  /** Writes a key that must not exist; resolves with its revision. Throws `Conflict`. */
  create(key: string, value: unknown): Promise<number>;
  /** Writes a key that must still be at `revision`. Throws `Conflict`. */
  update(key: string, value: unknown, revision: number): Promise<number>;
  put(key: string, value: unknown): Promise<number>;
  /** Deletes; with a `revision`, only a key that is still at it. Throws `Conflict`. */
  delete(key: string, revision?: number): Promise<void>;
  /** Keys that match a NATS wildcard, e.g. `000000000000.*`. */
  keys(filter: string): Promise<string[]>;
  /**
   * Hears every current entry, then `upToDate` once, then every change, until `stop`. Changes of one key come in order.
   */
  watch(changed: (entry: Entry) => void, upToDate?: () => void): Promise<{ stop(): void }>;
}

/** Packages by lower-case hexadecimal SHA-256. */
export interface CodeStore {
  put(sha256: string, bytes: Uint8Array): Promise<void>;
  get(sha256: string): Promise<Uint8Array | undefined>;
  has(sha256: string): Promise<boolean>;
  delete(sha256: string): Promise<void>;
}

export interface Storage {
  readonly functions: Bucket;
  readonly layers: Bucket;
  /** Event source mappings. */
  readonly triggers: Bucket;
  readonly leases: Bucket;
  readonly code: CodeStore;
  /** The stream that stores what is published to a subject; `undefined` when none does. Rejects when nobody can tell. */
  storedIn(subject: string): Promise<string | undefined>;
}

const WRONG_LAST_SEQUENCE = 10071;
const MAX_CHUNK_BYTES = 512 * 1024;
const MIB = 1024 * 1024;

/** Opens everything, making what is missing. */
export async function openStorage(connection: NatsConnection, options: StreamOptions): Promise<Storage> {
  const { replicas } = options;
  setSha256Backend("native");
  await makeStreams(connection, options);
  const manager = await jetstreamManager(connection);
  const kvm = new Kvm(connection);
  const objm = new Objm(connection);
  const [functions, layers, triggers, leases, code] = await Promise.all([
    kvm.create(FUNCTIONS_BUCKET, { replicas, history: 5 }),
    kvm.create(LAYERS_BUCKET, { replicas, history: 5 }),
    kvm.create(TRIGGERS_BUCKET, { replicas, history: 5 }),
    kvm.create(LEASES_BUCKET, { replicas }),
    objm.create(CODE_BUCKET, { replicas }),
  ]);
  return {
    functions: bucket(functions),
    layers: bucket(layers),
    triggers: bucket(triggers),
    leases: bucket(leases),
    code: codeStore(code),
    storedIn: (subject) => storedIn(manager, subject),
  };
}

/** Of a package's first try; a reader whose package is being replaced by its equal would wait for ever. */
const GET_MS = 5000;
const GET_MS_PER_MIB = 200;
const TRIES = 3;

/**
 * Several writers of one package at a time would take away each other's pieces under whoever reads: in this process the
 * first one writes for all, and a reader that comes between two processes' writes tries again.
 */
function codeStore(code: ObjectStore): CodeStore {
  const coming = new Map<string, Promise<void>>();
  /** A deleted object still has an entry, which says so. */
  const isThere = async (sha256: string) => (await code.info(sha256))?.deleted === false;
  const write = async (sha256: string, bytes: Uint8Array) => {
    if (await isThere(sha256)) return;
    await code.putBlob({ name: sha256, options: { max_chunk_size: MAX_CHUNK_BYTES } }, bytes);
  };
  return {
    put(sha256, bytes) {
      const put = coming.get(sha256) ?? write(sha256, bytes).finally(() => coming.delete(sha256));
      coming.set(sha256, put);
      return put;
    },
    async get(sha256) {
      for (let tried = 1; ; tried++) {
        const info = await code.info(sha256);
        if (info === null || info.deleted) return undefined;
        const limitMs = GET_MS + (info.size / MIB) * GET_MS_PER_MIB;
        const got = await within(limitMs, code.getBlob(sha256)).catch((error: unknown) => {
          if (tried === TRIES) throw error;
          return undefined;
        });
        if (got instanceof Uint8Array) return got;
        if (tried === TRIES) throw new Error(`package ${sha256} did not come within ${Math.round(limitMs)} ms`);
      }
    },
    has: isThere,
    delete: async (sha256) => void (await code.delete(sha256)),
  };
}

/** What was promised, or `undefined` when it takes longer. */
async function within<T>(ms: number, promised: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  return Promise.race([promised, late]).finally(() => clearTimeout(timer));
}

function bucket(kv: KV): Bucket {
  return {
    async get(key) {
      const entry = await kv.get(key);
      if (entry === null || entry.operation !== "PUT") return undefined;
      return { key, value: entry.json(), revision: entry.revision };
    },
    create: (key, value) => orConflict(key, kv.create(key, JSON.stringify(value))),
    update: (key, value, revision) => orConflict(key, kv.update(key, JSON.stringify(value), revision)),
    put: (key, value) => kv.put(key, JSON.stringify(value)),
    delete: (key, revision) =>
      revision === undefined ? kv.delete(key) : orConflict(key, kv.delete(key, { previousSeq: revision })),
    async keys(filter) {
      const keys: string[] = [];
      for await (const key of await kv.keys(filter)) keys.push(key);
      return keys.sort();
    },
    async watch(changed, upToDate) {
      const entries = await kv.watch();
      let told = false;
      const tellUpToDate = () => {
        if (!told) upToDate?.();
        told = true;
      };
      // The client says how much history is still to come only with an entry; an empty bucket never sends one.
      if ((await kv.status()).values === 0) tellUpToDate();
      void (async () => {
        for await (const entry of entries) {
          changed({ key: entry.key, value: jsonOf(entry), revision: entry.revision });
          if (entry.delta === 0 || entry.isUpdate) tellUpToDate();
        }
      })();
      return { stop: () => entries.stop() };
    },
  };
}

/** What isn't JSON, because somebody else wrote it, counts as nothing. */
function jsonOf(entry: KvEntry): unknown {
  if (entry.operation !== "PUT") return undefined;
  try {
    return entry.json();
  } catch {
    return undefined;
  }
}

async function orConflict<T>(key: string, write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
    if (code === WRONG_LAST_SEQUENCE) throw new Conflict(`${key} was changed meanwhile`);
    throw error;
  }
}
