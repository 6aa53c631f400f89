/** Numbers that Lambda fixes, each with its source; a configuration may lower some, never raise them. */

/** Source: Lambda quotas, "Concurrent executions" (default of an account and region). */
export const ACCOUNT_CONCURRENCY = 1000;

/** Source: Lambda developer guide, "Runtime environment lifecycle": init phase of an on-demand function. */
export const INIT_LIMIT_MS = 10_000;
