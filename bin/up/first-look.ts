/** What a newcomer sees once the system is up: the hello example deployed, invoked cold and warm, and what to type next. */
import { join } from "node:path";
import { UserInvoke } from "../../subjects/invoke.ts";
import { findFunction } from "../api.ts";
import { deployFrom } from "../deployment.ts";
import { invokeFunction } from "../invocation.ts";
import { packageRoot } from "../package-root.ts";
import { Progress } from "../print.ts";
import { receiptText } from "../receipt.ts";
import { openSession } from "../session.ts";

const HELLO = "hello";
const PAYLOAD = '{"name":"Ada"}';
const DEPLOY_MS = 30_000;

/** Deploys `examples/hello` if no function of that name is there; what is there is left as it is. */
export async function showFirstLook(contextSelected: boolean, tell: (line: string) => void): Promise<void> {
  await using session = await openSession("platform");
  const present = await findFunction(session, HELLO);
  if (present === undefined) {
    const options = { env: {}, withinMs: DEPLOY_MS };
    const progress = new Progress();
    await deployFrom(session, join(packageRoot, "examples", HELLO), options, progress).finally(() => progress.end());
    tell("deployed examples/hello as hello");
  } else {
    tell(`hello is deployed (${present.CodeSha256?.slice(0, 8)}…, last changed ${present.LastModified})`);
  }
  const invocation = { fn: HELLO, qualifier: undefined, payload: new TextEncoder().encode(PAYLOAD), tail: false };
  tell("");
  for (let call = 0; call < 2; call++) {
    const { payload, receipt } = await invokeFunction(session, invocation);
    tell(`${UserInvoke.subject({ fn: HELLO })} ${PAYLOAD} → ${new TextDecoder().decode(payload)}`);
    tell(`  ${receiptText(receipt)}`);
  }
  const nats = contextSelected ? "nats" : "nats --context mayfly";
  tell("");
  tell("Try next:");
  tell(`  npx mayfly invoke hello '{"name":"Grace"}'      ${nats} req mayfly.invoke.hello '{"name":"Grace"}'`);
  tell(`  npx mayfly ls --workers                         ${nats} micro ls`);
  tell(`  npx mayfly logs hello -f                        ${nats} sub 'mayfly.state.>'`);
  tell("  npx mayfly deploy <your folder>");
}
