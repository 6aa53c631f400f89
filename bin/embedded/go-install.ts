/** nats-server built by Go from its published module; Go checks the module against its checksum database. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Way } from "./find-program.ts";
import { onPath } from "./program.ts";
import { releaseVersion } from "./release.ts";

const run = promisify(execFile);

/** A build from cold caches takes a minute or two on a small machine. */
const buildTimeoutMs = 10 * 60_000;

export function goInstall(env: NodeJS.ProcessEnv, version = releaseVersion): Way {
  return {
    name: `go install at version ${version}`,
    async fetch(bench, tell) {
      const go = await onPath("go", env);
      if (!go) throw new Error("Go isn't installed");
      const module = `github.com/nats-io/nats-server/v2@v${version}`;
      tell(`building ${module}; this takes a minute or two`);
      // GOBIN is refused for another platform than this one's, so GOOS and GOARCH mustn't leak in.
      const { GOOS: _os, GOARCH: _arch, ...rest } = env;
      await run(go, ["install", "-trimpath", "-ldflags=-s -w", module], {
        cwd: bench,
        env: { ...rest, GOBIN: bench, GOFLAGS: "-mod=mod", CGO_ENABLED: "0", ...(await cacheFor(go, env, bench)) },
        timeout: buildTimeoutMs,
        maxBuffer: 16 * 1024 * 1024,
      });
      return join(bench, "nats-server");
    },
  };
}

/** Go refuses to work without a place for its caches, as for a user without a home: then the bench serves. */
async function cacheFor(go: string, env: NodeJS.ProcessEnv, bench: string): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await run(go, ["env", "GOCACHE", "GOMODCACHE"], { env, cwd: bench });
  const [cache, modules] = stdout.split("\n").map((line) => line.trim());
  return {
    ...((!cache || cache === "off") && { GOCACHE: join(bench, "go-cache") }),
    ...(!modules && { GOMODCACHE: join(bench, "go-modules") }),
  };
}
