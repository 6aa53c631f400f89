/** `mayfly down`: ends the Mayfly of this home. */
import type { Command } from "commander";
import { resolveHome } from "../embedded/home.ts";
import { isAlive } from "../embedded/process-identity.ts";
import { readRunning } from "../running.ts";

const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

export function down(program: Command): void {
  program
    .command("down")
    .description("end the running system")
    .action(async () => {
      const running = await readRunning(resolveHome());
      if (running === undefined) return void process.stdout.write("Mayfly isn't running.\n");
      process.kill(running.pid, "SIGTERM");
      const deadline = performance.now() + PATIENCE_MS;
      while (await isAlive(running.process)) {
        if (performance.now() > deadline) {
          throw new Error(`process ${running.pid} has not ended after ${PATIENCE_MS / 1000} s`);
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      process.stdout.write("Mayfly has ended.\n");
    });
}
