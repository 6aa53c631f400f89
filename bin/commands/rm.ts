/** `mayfly rm <function>`: deletes it, with its versions and aliases. Calls that run are finished. */
import type { Command } from "commander";
import { Refused } from "../../subjects/errors.ts";
import { callApi } from "../api.ts";
import { say, sayJson } from "../print.ts";
import { openSession } from "../session.ts";

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
          if (!json) say(`${name} is deleted`);
        } catch (error) {
          const isMissing = error instanceof Refused && error.refusal.name === "ResourceNotFoundException";
          if (!isMissing || !ifExists) throw error;
        }
      }
      if (json) sayJson({ deleted });
    });
