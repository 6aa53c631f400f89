/** Node.js versions older than Mayfly's own, if somebody has installed them beside the packages: no test fetches them. */
import { fileURLToPath } from "node:url";
import { resolveRuntime } from "../../actors/sandbox/runtimes/catalogue.ts";

/** `MAYFLY_HOME=node_modules/.cache/mayfly mayfly runtime install nodejs20.x nodejs22.x` puts them here. */
const home = fileURLToPath(new URL("../../node_modules/.cache/mayfly", import.meta.url));

export interface OlderNode {
  readonly runtime: string;
  /** Path of the program. */
  readonly node: string;
}

export async function olderNodes(): Promise<OlderNode[]> {
  const found = await Promise.all(
    ["nodejs20.x", "nodejs22.x"].map(async (runtime) => {
      const resolved = await resolveRuntime(runtime, { home }).catch(() => undefined);
      return { runtime, node: resolved?.mounts[0]?.from };
    }),
  );
  return found.filter((each): each is OlderNode => each.node !== undefined);
}
