/** `mayfly logs <function>`: what a function wrote, from the LOGS stream; with `-f` also what it will write. */
import { DeliverPolicy, type JsMsg, jetstream } from "@nats-io/jetstream";
import type { Command } from "commander";
import { IllegalToken } from "../../subjects/contract.ts";
import { Log, linesIn } from "../../subjects/logs.ts";
import { LOGS_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { duration } from "../durations.ts";
import { Misused } from "../failure.ts";
import { dim, say } from "../print.ts";
import { openSession } from "../session.ts";

interface Flags {
  readonly follow?: true;
  /** Milliseconds. */
  readonly since?: number;
  readonly plain?: true;
  readonly json?: true;
}

export const logs = (program: Command): void =>
  void program
    .command("logs")
    .argument("<function>")
    .description("print what a function wrote")
    .option("-f, --follow", "go on with what it writes from now on, until Ctrl-C")
    .option("--since <duration>", "only of the last 30s, 10m, 2h, 1d; default: all that is kept, a day", duration)
    .option("--plain", "only the lines, without time and sandbox")
    .option("--json", "one JSON object a line: at, sandbox, line")
    .action(logsAction);

async function logsAction(fn: string, flags: Flags): Promise<void> {
  const subject = subjectOf(fn);
  await using session = await openSession();
  const consumer = await jetstream(session.connection).consumers.get(LOGS_STREAM, {
    filter_subjects: subject,
    ...(flags.since === undefined
      ? { deliver_policy: DeliverPolicy.All }
      : {
          deliver_policy: DeliverPolicy.StartTime,
          opt_start_time: new Date(Date.now() - flags.since).toISOString(),
        }),
  });
  const { num_pending: waiting } = await consumer.info();
  if (waiting === 0 && !flags.follow) return;
  const lines = await consumer.consume();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => lines.stop());
  let left = waiting;
  for await (const line of lines) {
    show(line, flags);
    left -= 1;
    if (left <= 0 && !flags.follow) break;
  }
  await lines.close();
}

function show(message: JsMsg, { plain, json }: Flags): void {
  const at = message.time.getTime();
  const { sandboxId } = Log.address(message.subject);
  for (const line of linesIn(message.string())) {
    if (json) say(JSON.stringify({ at, sandbox: sandboxId, line }));
    else if (plain) say(line);
    else say(`${dim(`${clockTime(new Date(at))} ${sandboxId}`)}  ${line}`);
  }
}

/** Local time, as somebody who watches has it on the wall; the day is in the function's own lines. */
const clockTime = (at: Date): string =>
  `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, "0")}`;

function subjectOf(fn: string): string {
  try {
    return Log.subject({ acct: DEFAULT_ACCOUNT, fn });
  } catch (error) {
    if (error instanceof IllegalToken) throw new Misused(`"${fn}" is no function's name`, { cause: error });
    throw error;
  }
}
