/** `mayfly rm <function>`: deletes it, with its versions and aliases. Calls that run are finished. */
import type { Command } from "commander";
import { Refused } from "../../subjects/errors.ts";
import { callApi } from "../api.ts";
import { listMappings } from "../mappings.ts";
import { remark, say, sayJson } from "../print.ts";
import { openSession, type Session } from "../session.ts";

export const rm = (program: Command): void =>
  void program
    .command("rm")
    .argument("<functions...>")
    .description("delete functions, or one version of one (name:version)")
    .option("--if-exists", "one that isn't there is no error")
    .option("--json", "what was deleted, as JSON")
    .action(async (names: string[], { ifExists, json }: { ifExists?: true; json?: true }) => {
      await using session = await openSession();
      const deleted: string[] = [];
      for (const name of names) {
        const [FunctionName, Qualifier] = name.split(":");
        try {
          await callApi(session, "DeleteFunction", { FunctionName, ...(Qualifier === undefined ? {} : { Qualifier }) });
          deleted.push(name);
          if (json) continue;
          say(`${name} is deleted`);
          if (Qualifier === undefined) await remarkOnTriggers(session, name);
        } catch (error) {
          const isMissing = error instanceof Refused && error.refusal.name === "ResourceNotFoundException";
          if (!isMissing || !ifExists) throw error;
        }
      }
      if (json) sayJson({ deleted });
    });

/** As in Lambda they outlive the function, and each of their events becomes a dead letter. */
async function remarkOnTriggers(session: Session, fn: string): Promise<void> {
  const { length } = await listMappings(session, { FunctionName: fn });
  if (length > 0)
    remark(`${length === 1 ? "a trigger still calls" : `${length} triggers still call`} it: mayfly trigger ls ${fn}`);
}
