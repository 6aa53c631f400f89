/**
 * The containers of docker-compose.yml under a name of their own, gone with their volumes and network when disposed of.
 *
 * Compose 1.x can't pass `systempaths` to the engine (docker/compose#9505), and without it there are no sandboxes. There
 * it brings up all but the workers, which `docker run` starts with the options that the file gives them.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../../bin/package-root.ts";
import { composeCommand } from "./engine.ts";

const run = promisify(execFile);

export interface Composition extends AsyncDisposable {
  up(): Promise<void>;
  /** What all its containers have said so far. */
  logs(): Promise<string>;
}

/** With `variables` for the placeholders of docker-compose.yml. Starts nothing yet. */
export async function compose(variables: Readonly<Record<string, string>>): Promise<Composition> {
  const [program, ...before] = await composeCommand();
  const project = `mayfly-test-${randomBytes(4).toString("hex")}`;
  const file = join(packageRoot, "docker-compose.yml");
  const env = { ...process.env, ...variables };
  const execute = (command: string, ...args: string[]) => run(command, args, { env, maxBuffer: 64 * 1024 * 1024 });
  const composed = (...args: string[]) =>
    execute(program, ...before, "--project-name", project, "--file", file, ...args);
  const byHand = before.length > 0 ? [] : ["a", "b"].map((zone) => ({ zone, name: `${project}-worker-${zone}` }));

  return {
    async up() {
      if (byHand.length === 0) return void (await composed("up", "--detach", "--no-build"));
      await composed("up", "--detach", "--no-build", "nats", "plane");
      for (const { zone, name } of byHand) {
        const options = [
          "--detach",
          "--name",
          name,
          "--network",
          `${project}_default`,
          ...(await securityOptions(file)),
        ];
        const login = ["URL=nats://nats:4222", "USER=platform", `PASSWORD=${variables.MAYFLY_PLATFORM_PASSWORD}`];
        const environment = login.flatMap((line) => ["--env", `MAYFLY_NATS_${line}`]);
        const command = [variables.MAYFLY_IMAGE ?? "", "run", "worker", "--zone", zone];
        await execute("docker", "run", ...options, ...environment, ...command);
      }
    },
    async logs() {
      const said = [await composed("logs", "--no-color")];
      for (const { name } of byHand) said.push(await execute("docker", "logs", name).catch(nothing));
      return said.map(({ stdout, stderr }) => stdout + stderr).join("");
    },
    async [Symbol.asyncDispose]() {
      for (const { name } of byHand) await execute("docker", "rm", "--force", "--volumes", name).catch(nothing);
      await composed("down", "--volumes", "--timeout", "5");
    },
  };
}

const nothing = () => ({ stdout: "", stderr: "" });

async function securityOptions(file: string): Promise<string[]> {
  const list = /security_opt: \[(.+)\]/.exec(await readFile(file, "utf8"))?.[1] ?? "";
  return list.split(", ").flatMap((option) => ["--security-opt", option]);
}
