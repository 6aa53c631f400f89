/** The page of all statecharts, drawn from the machines themselves. */
import type { AnyStateMachine } from "xstate";
import { functionMachine } from "../../actors/control-plane/machine.ts";
import { countingMachine } from "../../actors/counting/machine.ts";
import { leasesMachine } from "../../actors/frontend/leases/machine.ts";
import { invocationMachine } from "../../actors/frontend/machine.ts";
import { leaseMachine } from "../../actors/placement/machine.ts";
import { backlogMachine } from "../../actors/poller/backlog/machine.ts";
import { eventMachine } from "../../actors/poller/machine.ts";
import { sandboxMachine } from "../../actors/sandbox/machine.ts";
import { mappingMachine } from "../../actors/trigger/machine.ts";
import { workerMachine } from "../../actors/worker/machine.ts";
import { poolMachine } from "../../actors/worker-manager/machine.ts";
import { mermaid } from "./mermaid.ts";

interface Chart {
  readonly title: string;
  readonly file: string;
  readonly machine: AnyStateMachine;
}

/** In the order an invocation meets them. */
export const CHARTS: readonly Chart[] = [
  { title: "An invocation", file: "frontend/machine.ts", machine: invocationMachine },
  {
    title: "The leases of a front end on one function version",
    file: "frontend/leases/machine.ts",
    machine: leasesMachine,
  },
  { title: "An event of an asynchronous invoke", file: "poller/machine.ts", machine: eventMachine },
  { title: "The backlog of a function's events", file: "poller/backlog/machine.ts", machine: backlogMachine },
  { title: "The concurrency of an account", file: "counting/machine.ts", machine: countingMachine },
  { title: "The pool of a function version's sandboxes", file: "worker-manager/machine.ts", machine: poolMachine },
  { title: "A worker as placement sees it", file: "placement/machine.ts", machine: leaseMachine },
  { title: "A worker", file: "worker/machine.ts", machine: workerMachine },
  { title: "A function", file: "control-plane/machine.ts", machine: functionMachine },
  { title: "An event source mapping", file: "trigger/machine.ts", machine: mappingMachine },
  { title: "A sandbox", file: "sandbox/machine.ts", machine: sandboxMachine },
];

export const statecharts = (): string =>
  [
    "# The statecharts",
    "",
    "Every component is one of these, drawn from the machine that runs. Do not edit: `node test/support/export-statecharts.ts`",
    "rewrites this page, and a test fails when it is stale. What the events mean stands at the top of each `machine.ts`.",
    ...CHARTS.map(
      ({ title, file, machine }) => `\n## ${title}\n\n[${file}](${file})\n\n\`\`\`mermaid\n${mermaid(machine)}\n\`\`\``,
    ),
    "",
  ].join("\n");
