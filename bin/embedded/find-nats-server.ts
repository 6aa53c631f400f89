/**
 * Which NATS server Mayfly uses: one that runs already, or a program to run as the embedded one.
 * The order is the one people expect: what they named, what they have, what was fetched, what can be fetched.
 */
import { featuresOff, oldestServer } from "../../config/nats/features.ts";
import { debianPackage } from "./debian.ts";
import { type FoundProgram, findProgram } from "./find-program.ts";
import { goInstall } from "./go-install.ts";
import { type ReleaseSource, release } from "./release.ts";

export interface FindOptions {
  /** The home's folder of fetched programs. */
  readonly tools: string;
  readonly env?: NodeJS.ProcessEnv;
  /** One line each, for people. */
  readonly onProgress?: (line: string) => void;
  /** False: look only, stay off the network. */
  readonly mayFetch?: boolean;
}

export interface FindServerOptions extends FindOptions {
  readonly release?: ReleaseSource;
}

export interface FoundServer extends FoundProgram {
  /** What Mayfly does without on this server, a line each; empty from the reference version on. */
  readonly off: readonly string[];
}

/** The URL of a server that runs already and is to be used instead of an embedded one; undefined for the default. */
export function externalServer(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env.MAYFLY_NATS_URL || undefined;
}

/**
 * MAYFLY_NATS_SERVER, PATH, fetched earlier, the official release, `go install`, Debian's newer releases.
 * @throws ProgramMissing saying what was tried and how a person gets it
 */
export async function findNatsServer(options: FindServerOptions): Promise<FoundServer> {
  const { tools, env = process.env, onProgress, mayFetch = true } = options;
  const newer = (suite: string) =>
    debianPackage({ package: "nats-server", program: ["usr/sbin/nats-server", "usr/bin/nats-server"], suite }, env);
  const found = await findProgram({
    name: "nats-server",
    variable: "MAYFLY_NATS_SERVER",
    oldest: oldestServer,
    env,
    tools,
    ways: mayFetch ? [release(options.release), goInstall(env), newer("forky"), newer("sid")] : [],
    remedy:
      "Install nats-server 2.12 or newer (https://docs.nats.io, Installing) so that it is on PATH, " +
      "or set MAYFLY_NATS_SERVER to its path, or MAYFLY_NATS_URL to a running server.",
    ...(onProgress && { onProgress }),
  });
  const off = featuresOff(found.version);
  for (const line of off) onProgress?.(`nats-server ${found.version}: off: ${line}`);
  return { ...found, off };
}
