/**
 * A user of the host that has nothing: for tests of root's that must become somebody. Each file that runs at this time has
 * another one, since some limits count all processes of a user.
 */
export const ORDINARY_USER = 20_000 + Number(process.env.VITEST_POOL_ID ?? 1);
