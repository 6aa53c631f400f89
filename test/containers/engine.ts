/** The Docker engine these tests use: whichever the `docker` command reaches. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Why there are no containers here; undefined where an engine answers. */
export const noEngine: string | undefined = await run("docker", ["version", "--format", "{{.Server.Version}}"]).then(
  () => undefined,
  (error: Error & { readonly code?: unknown; readonly stderr?: string }) =>
    error.code === "ENOENT"
      ? "no docker command on PATH"
      : `no Docker engine is reachable: ${error.stderr?.trim().split("\n").at(-1)}`,
);

/** Without buildx there is only the legacy builder. */
const hasBuildx = (): Promise<boolean> =>
  run("docker", ["buildx", "version"]).then(
    () => true,
    () => false,
  );

/** Builds an image from a folder with a Dockerfile. Disposing of it removes the image. */
export async function buildImage(
  tag: string,
  folder: string,
  args: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable> {
  const env = { ...process.env, ...((await hasBuildx()) ? {} : { DOCKER_BUILDKIT: "0" }) };
  const buildArgs = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  await run("docker", ["build", "--quiet", "--tag", tag, ...buildArgs, folder], { env });
  return {
    async [Symbol.asyncDispose]() {
      await run("docker", ["image", "rm", "--force", tag]);
    },
  };
}

/**
 * How Compose is called here: the engine's plugin, or the program of old.
 * @throws Error where there is neither
 */
export async function composeCommand(): Promise<readonly [string, ...string[]]> {
  const plugin = await run("docker", ["compose", "version"]).catch(() => undefined);
  if (plugin !== undefined) return ["docker", "compose"];
  await run("docker-compose", ["version"]);
  return ["docker-compose"];
}

/** Why nothing can be composed here; undefined where it can. */
export const noCompose: string | undefined = await composeCommand().then(
  () => undefined,
  () => "neither `docker compose` nor docker-compose is here",
);
