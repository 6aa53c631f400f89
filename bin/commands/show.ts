/** `mayfly show <function>`: everything that is known of one function. */
import type { Command } from "commander";
import { z } from "zod";
import { UserInvoke } from "../../subjects/invoke.ts";
import { Configuration, callApi, listAll } from "../api.ts";
import { egressText, getEgress } from "../egress-setting.ts";
import { layerText } from "../layers.ts";
import { bytesText, fields, say, sayJson } from "../print.ts";
import { openSession } from "../session.ts";

const Answer = z
  .object({
    Configuration,
    Concurrency: z.object({ ReservedConcurrentExecutions: z.number().optional() }).optional(),
    Tags: z.record(z.string(), z.string()).optional(),
  })
  .loose();
const Version = z.object({ Version: z.string() }).loose();
const Alias = z.object({ Name: z.string(), FunctionVersion: z.string() }).loose();

export const show = (program: Command): void =>
  void program
    .command("show")
    .argument("<function>")
    .description("show one function: state, configuration, versions, aliases")
    .option("--json", "as JSON, in the Lambda API's words")
    .action(async (name: string, { json }: { json?: true }) => {
      await using session = await openSession();
      const which = { FunctionName: name };
      const found = Answer.parse(await callApi(session, "GetFunction", which));
      const versions = await listAll(session, "ListVersionsByFunction", which, "Versions", Version);
      const aliases = await listAll(session, "ListAliases", which, "Aliases", Alias);
      const egress = await getEgress(session, name);
      if (json)
        return sayJson({ ...found, Versions: versions.map((each) => each.Version), Aliases: aliases, Egress: egress });
      const its = found.Configuration;
      const reserved = found.Concurrency?.ReservedConcurrentExecutions;
      say(
        fields([
          ["name", its.FunctionName],
          ["state", withReason(its.State, its.StateReason)],
          ["last update", withReason(its.LastUpdateStatus, its.LastUpdateStatusReason)],
          ["runtime", `${its.Runtime}, ${its.Architectures?.join(", ")}`],
          ["handler", its.Handler],
          ["description", its.Description === "" ? undefined : its.Description],
          ["memory", `${its.MemorySize} MiB, /tmp ${its.EphemeralStorage?.Size} MiB`],
          ["timeout", `${its.Timeout} s`],
          ["logs", logsText(its.LoggingConfig)],
          ["reserved", reserved === undefined ? undefined : `${reserved} at once`],
          ["egress", egressText(egress)],
          ["code", `${bytesText(its.CodeSize ?? 0)}, SHA-256 ${its.CodeSha256}`],
          ["modified", its.LastModified],
          ["versions", versions.map((each) => each.Version).join(", ")],
          ["aliases", aliases.map((each) => `${each.Name} → ${each.FunctionVersion}`).join(", ") || undefined],
          ["tags", pairs(found.Tags)],
          ["layers", its.Layers?.map(({ Arn }) => layerText(Arn)).join(", ")],
          ["environment", pairs(its.Environment?.Variables)],
          ["ARN", its.FunctionArn],
          ["subject", UserInvoke.subject({ fn: its.FunctionName ?? "" })],
        ]),
      );
    });

const withReason = (state: string | undefined, reason: string | undefined): string | undefined =>
  reason === undefined || reason === "" ? state : `${state}: ${reason}`;

function logsText(logging: Configuration["LoggingConfig"]): string | undefined {
  if (logging?.LogFormat !== "JSON") return undefined;
  return `JSON, from ${logging.ApplicationLogLevel}, the platform's from ${logging.SystemLogLevel}`;
}

function pairs(values: Readonly<Record<string, string>> | undefined): string | undefined {
  const given = Object.entries(values ?? {});
  return given.length === 0 ? undefined : given.map(([key, value]) => `${key}=${value}`).join("  ");
}
