/** A fire of `kill -9`, at random: whoever is hit and when follows from a seed, so that a fire can be lit again. */
import { setTimeout } from "node:timers/promises";

export interface Fire {
  readonly seed: number;
  readonly forMs: number;
  /** Between two strikes. */
  readonly pauseMs: { readonly min: number; readonly max: number };
  /** Whom it may hit, by name; each kills one, and rejects when there is none because it is still coming back. */
  readonly victims: Readonly<Record<string, () => Promise<unknown>>>;
}

/** `MAYFLY_TEST_SEED`, or another each time. */
export const seedOf = (env: NodeJS.ProcessEnv): number =>
  Number(env.MAYFLY_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** How often each was hit. */
export async function burn({ seed, forMs, pauseMs: { min, max }, victims }: Fire): Promise<Record<string, number>> {
  const random = randomFrom(seed);
  const names = Object.keys(victims);
  const hits = Object.fromEntries(names.map((name) => [name, 0]));
  const end = performance.now() + forMs;
  // Drawn without putting back, so that nobody is spared for long.
  let left: string[] = [];
  while (performance.now() < end) {
    await setTimeout(min + random() * (max - min));
    if (left.length === 0) left = [...names];
    const [name = ""] = left.splice(Math.floor(random() * left.length), 1);
    await victims[name]?.().then(
      () => {
        hits[name] = (hits[name] ?? 0) + 1;
      },
      () => left.push(name),
    );
  }
  return hits;
}

/** Numbers from 0 to 1, always the same for a seed. Source: mulberry32, public domain. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
