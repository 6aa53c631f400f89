/** `mayfly deploy <path>`: makes a function of a folder or a zip, or gives an existing one new code. */
import { type Command, InvalidArgumentError } from "commander";
import { type Deployed, type DeployOptions, deployFrom } from "../deployment.ts";
import { EGRESS_HELP, egressFrom } from "../egress-setting.ts";
import { bytesText, Progress, remark, say, sayJson } from "../print.ts";
import { openSession } from "../session.ts";

interface Flags extends Omit<DeployOptions, "withinMs"> {
  readonly wait: number;
  readonly json?: true;
}

const HELP = `
What isn't said is taken from mayfly.json in the folder ({name, runtime, handler, memory, timeout, tmp, environment,
layers, egress, description}), from the function as it is, and from the code: index.mjs|js|cjs or package.json's "main" is
Node.js, lambda_function.py or app.py is Python, an executable bootstrap is provided.al2023.
.mayflyignore leaves files out, in the words of a .gitignore.`;

export const deploy = (program: Command): void =>
  void program
    .command("deploy")
    .argument("<path>", "a folder or a zip")
    .description("make a function of a folder or a zip, or give one new code")
    .option("-n, --name <name>", "default: the folder's")
    .option("-r, --runtime <runtime>", "such as nodejs24.x, python3.13, provided.al2023")
    .option("--handler <file.name>", "such as index.handler")
    .option("-m, --memory <MiB>", "128 to 10240", wholeNumber)
    .option("-t, --timeout <seconds>", "1 to 900", wholeNumber)
    .option("--tmp <MiB>", "size of /tmp, 512 to 10240", wholeNumber)
    .option("--description <text>")
    .option("-e, --env <KEY=value>", "a variable, may be repeated", variable, {})
    .option("--egress <destinations>", "none, internet, or a list such as 198.51.100.0/24:443,10.1.2.3:5432", egress)
    .option("-l, --layer <name[:version]>", "a layer, the newest version if none is named; may be repeated", each, [])
    .option("--wait <seconds>", "how long to wait until it can be invoked", wholeNumber, 60)
    .option("--json", "the function's configuration as JSON")
    .addHelpText("after", `${HELP}\n${EGRESS_HELP}`)
    .action(deployAction);

async function deployAction(path: string, { wait, json, ...options }: Flags): Promise<void> {
  // Only the owner of the home may write in the object store.
  await using session = await openSession("platform");
  const progress = new Progress();
  try {
    const deployed = await deployFrom(session, path, { ...options, withinMs: wait * 1000 }, progress);
    progress.end();
    if (json) sayJson(deployed.configuration);
    else tell(deployed);
  } finally {
    progress.end();
  }
}

function tell({ configuration, how }: Deployed): void {
  const { FunctionName = "", Version, Runtime, Handler, CodeSize = 0, MemorySize, Timeout } = configuration;
  say(`${FunctionName} is ${how}: version ${Version}, ${bytesText(CodeSize)}`);
  remark(`  ${Runtime} ${Handler}, ${MemorySize} MiB, ${Timeout} s`);
  remark(`  mayfly invoke ${FunctionName} '{}'      nats req mayfly.invoke.${FunctionName} '{}'`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

function egress(text: string): readonly string[] {
  try {
    return egressFrom(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function each(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function variable(text: string, before: Record<string, string>): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must be KEY=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}
