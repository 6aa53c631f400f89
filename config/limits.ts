/** Numbers that Lambda fixes, each with its source; a configuration may lower some, and raises none but the last. */

/** Source: Lambda quotas, "Concurrent executions" (default of an account and region). */
export const ACCOUNT_CONCURRENCY = 1000;

/** Source: Lambda developer guide, "Runtime environment lifecycle": init phase of an on-demand function. */
export const INIT_LIMIT_MS = 10_000;

/** Source: Lambda developer guide, "Error handling for asynchronous invocation": before the second and the third attempt. */
export const ASYNC_RETRY_DELAYS_MS: readonly number[] = [60_000, 120_000];

/** Source: the same page: back-off after throttles and system errors, from one second to five minutes. */
export const ASYNC_BACKOFF_MS = { min: 1000, max: 300_000 } as const;

/**
 * MiB a second. Sources: Lambda developer guide, "Response streaming"; the runtime interface emulator's largest rate. A
 * reader who can't follow is cut off by the server, unless he acknowledges what he reads.
 */
export const STREAM_RATE = { standard: 2, max: 64 } as const;
