/** `mayfly ls`: the functions, or with `--workers` the workers and what is on them. */
import type { Command } from "commander";
import { Recount } from "../../subjects/counting.ts";
import { Heartbeat } from "../../subjects/worker.ts";
import { Configuration, listAll } from "../api.ts";
import { bytesText, remark, say, sayJson, table } from "../print.ts";
import { openSession, type Session } from "../session.ts";

interface WorkerSeen extends Heartbeat {
  readonly workerId: string;
}

/** Workers answer a recount at once: silence for this long means that all have. */
const SILENCE_MS = 400;
/** Longer than a worker's beat, for where our asking isn't heard. */
const BEAT_MS = 1500;
const PATIENCE_MS = 3000;

export const ls = (program: Command): void =>
  void program
    .command("ls")
    .alias("list")
    .description("list functions, or workers")
    .option("-w, --workers", "the workers: zone, state, isolation, sandboxes, memory")
    .option("--json", "as JSON")
    .action(async ({ workers, json }: { workers?: true; json?: true }) => {
      // Only the platform may ask for a recount.
      await using session = await openSession(workers ? "platform" : "mayfly");
      if (workers) showWorkers(await workersNow(session), json);
      else showFunctions(await listAll(session, "ListFunctions", {}, "Functions", Configuration), json);
    });

function showFunctions(functions: readonly Configuration[], json: true | undefined): void {
  if (json) {
    sayJson(functions);
    return;
  }
  if (functions.length === 0) {
    remark("no functions yet: mayfly deploy <folder>");
    return;
  }
  const rows = functions.map((each) => [
    each.FunctionName ?? "",
    each.Runtime ?? "",
    each.Handler ?? "",
    `${each.MemorySize} MiB`,
    `${each.Timeout} s`,
    bytesText(each.CodeSize ?? 0),
    (each.LastModified ?? "").replace("T", " ").slice(0, 19),
  ]);
  say(table(["NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "SIZE", "MODIFIED (UTC)"], rows));
}

function showWorkers(workers: readonly WorkerSeen[], json: true | undefined): void {
  if (json) {
    sayJson(workers);
    return;
  }
  if (workers.length === 0) {
    remark("no worker answers");
    return;
  }
  const rows = workers.map((each) => [
    each.workerId,
    each.zone,
    each.state,
    each.isolation.split(";")[0] ?? "",
    String(each.sandboxes),
    String(each.running.reduce((sum, { count }) => sum + count, 0)),
    `${each.busyMiB} + ${each.idleMiB} of ${each.capacityMiB}`,
    each.host,
  ]);
  say(table(["WORKER", "ZONE", "STATE", "ISOLATION", "SANDBOXES", "RUNNING", "MiB BUSY + IDLE", "HOST"], rows));
}

/** Asks all workers to say what they hold, and listens until nobody new speaks. */
async function workersNow({ connection, network, local }: Session): Promise<WorkerSeen[]> {
  const seen = new Map<string, WorkerSeen>();
  await new Promise<void>((resolve) => {
    let silence: NodeJS.Timeout | undefined;
    const patience = setTimeout(resolve, PATIENCE_MS);
    connection.subscribe(Heartbeat.subject(), {
      callback: (error, message) => {
        const beat = error === null ? Heartbeat.body.safeParse(message.json()) : undefined;
        if (beat?.success !== true) return;
        const { workerId } = Heartbeat.address(message.subject);
        if (!seen.has(workerId)) {
          clearTimeout(silence);
          silence = setTimeout(
            () => {
              clearTimeout(patience);
              resolve();
            },
            local === undefined ? BEAT_MS : SILENCE_MS,
          );
        }
        seen.set(workerId, { workerId, ...beat.data });
      },
    });
    network.publish({ subject: Recount.subject(), payload: "{}" });
  });
  return [...seen.values()].sort((a, b) => (a.zone + a.workerId < b.zone + b.workerId ? -1 : 1));
}
