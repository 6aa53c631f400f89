/**
 * What each nats-server version brings that Mayfly uses, and what is off without it.
 *
 * Source: the server's release notes, each row tried on 2.9, 2.10 and 2.14/2.15. An old server
 * *silently ignores* several of these, so nothing may be left to an error at run time.
 */

export interface ServerFeature {
  readonly name: string;
  /** The first version that has it, `major.minor.patch`. */
  readonly since: string;
  /** What a user of Mayfly misses on an older server. */
  readonly without: string;
}

/** Below this Mayfly doesn't start: the stamping of tenants and shards isn't there or isn't safe. */
export const oldestServer = "2.9.0";

/** From here on nothing that Mayfly needs is off. */
export const referenceServer = "2.12.0";

export const serverFeatures = {
  syncInterval: { name: "sync_interval", since: "2.10.0", without: "writes reach the disk every two minutes only" },
  logRotation: { name: "log rotation", since: "2.10.0", without: "the server's rotated logs are never deleted" },
  consumerCreate: {
    name: "consumers that are made only once",
    since: "2.10.0",
    without: "for a moment two pollers may take a function's events, and run more of them than its limit",
  },
  messageTtl: {
    name: "message and key TTLs",
    since: "2.11.0",
    without: "leases expire by the platform's clock, not the server's",
  },
  schedules: {
    name: "scheduled messages",
    since: "2.12.0",
    without: "async retries wait in a poller's hands, a thousand of one function at most",
  },
  cronSchedules: {
    name: "cron schedules",
    since: "2.14.0",
    without: "schedules are kept by Mayfly's own timer: a firing is missed while it is down",
  },
  consumerReset: {
    name: "consumers that begin again",
    since: "2.14.0",
    without:
      "a trigger's records that a crash left in the middle may be run behind newer ones, also where order is asked",
  },
  safeReplicas: {
    name: "repaired replicated work queues",
    since: "2.14.0",
    without: "do not run a cluster: replicated work queues can lose messages",
  },
  consumerDefault: {
    name: "the cap on consumers per stream",
    since: "2.15.0",
    without: "nothing: older servers have no such cap",
  },
} as const satisfies Record<string, ServerFeature>;

/** Whether a server of this version has the feature. Pre-releases count as their release. */
export function hasFeature(version: string, feature: ServerFeature): boolean {
  return compareVersions(version, feature.since) >= 0;
}

/** What is off on this server, as one line each, ready to be told at start; empty on a new one. */
export function featuresOff(version: string): string[] {
  return Object.values(serverFeatures)
    .filter((feature) => feature !== serverFeatures.consumerDefault && !hasFeature(version, feature))
    .map((feature) => `${feature.name} (needs nats-server ${feature.since}): ${feature.without}`);
}

/** Negative, zero or positive, as `Array.sort` wants it. Compares the numbers of `v1.2.3-x` only. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return (/\d+(\.\d+){0,2}/.exec(version)?.[0] ?? "0").split(".").map(Number);
}
