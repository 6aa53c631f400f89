/** The first of a stream of things, for a list that a person reads. */
export async function firstOf<T>(items: AsyncIterable<T>, most: number): Promise<{ items: T[]; isMore: boolean }> {
  const found: T[] = [];
  for await (const item of items) {
    if (found.length === most) return { items: found, isMore: true };
    found.push(item);
  }
  return { items: found, isMore: false };
}

/** An instant as `2026-01-31 12:00:00`, UTC. */
export const instantText = (at: number): string => new Date(at).toISOString().replace("T", " ").slice(0, 19);
