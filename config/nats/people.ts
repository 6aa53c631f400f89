/**
 * What a person with the `nats` CLI may do in Mayfly's NATS account: everything that doesn't belong
 * to the platform. They invoke, publish and listen as they like, keep streams and buckets of their
 * own, and read the platform's; they can't speak in the platform's name nor damage what it keeps.
 *
 * Not closed: listening. Who holds this credential operates the machine, and `nats sub 'mayfly.>'`
 * is the point of it.
 */

/** What is the platform's. All lists are plain names, wildcards only in `subjects`. */
export interface PlatformProperty {
  /** Subjects only the platform publishes, as `mayfly.worker.>`. Never the stamped ones of the tenant: see `stamping.ts`. */
  readonly subjects: readonly string[];
  /** Queue groups of the platform's components: a stranger in one would steal requests. */
  readonly queues?: readonly string[];
  /** Streams a person may read through consumers of their own. */
  readonly streams?: readonly string[];
  /** Work queues: not even a consumer, because reading them takes the messages away. */
  readonly workQueues?: readonly string[];
  /** KV buckets: may be read and watched. */
  readonly buckets?: readonly string[];
  /** Object stores: may be read. */
  readonly objectStores?: readonly string[];
}

/** A `permissions` block of the server's configuration. */
export interface Permissions {
  readonly publish: { readonly deny: readonly string[] };
  readonly subscribe: { readonly deny: readonly string[] };
}

export function peoplePermissions(property: PlatformProperty): Permissions {
  const { subjects, queues = [], streams = [], workQueues = [], buckets = [], objectStores = [] } = property;
  const kept = [
    ...streams,
    ...workQueues,
    ...buckets.map((name) => `KV_${name}`),
    ...objectStores.map((name) => `OBJ_${name}`),
  ];
  return {
    publish: {
      deny: [
        ...subjects,
        ...buckets.map((name) => `$KV.${name}.>`),
        ...objectStores.map((name) => `$O.${name}.>`),
        ...kept.flatMap(changingStream),
        ...workQueues.flatMap(consuming),
      ],
    },
    subscribe: { deny: queues.map((name) => `> ${name}`) },
  };
}

/** The JetStream API's subjects that change or empty a stream. Source: ADR-1 and the server's jetstream_api.go. */
function changingStream(stream: string): string[] {
  const verbs = ["CREATE", "UPDATE", "DELETE", "PURGE", "RESTORE", "MSG.DELETE", "PEER.REMOVE", "LEADER.STEPDOWN"];
  return verbs.map((verb) => `$JS.API.STREAM.${verb}.${stream}`);
}

/** Those that take messages from a stream or meddle with its consumers, with both forms of an ack's subject. */
function consuming(stream: string): string[] {
  const verbs = ["CREATE", "DURABLE.CREATE", "DELETE", "MSG.NEXT", "PAUSE", "UNPIN", "RESET", "LEADER.STEPDOWN"];
  return [
    `$JS.API.CONSUMER.CREATE.${stream}`,
    ...verbs.map((verb) => `$JS.API.CONSUMER.${verb}.${stream}.>`),
    `$JS.ACK.${stream}.>`,
    `$JS.ACK.*.*.${stream}.>`,
  ];
}
