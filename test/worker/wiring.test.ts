/** What a worker is asked to make, from the worker manager's word to the sandbox. */
import { expect, test, vi } from "vitest";
import { createActor } from "xstate";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { type HostedSandboxes, workerLogic } from "../../actors/worker/effects.ts";
import { workerWiring } from "../../actors/worker/wiring.ts";
import { poolWiring } from "../../actors/worker-manager/wiring.ts";
import { CreateSandbox } from "../../subjects/worker.ts";
import { spec } from "../support/machines.ts";

test.each([["fe1"], [undefined]])("who a sandbox is made for comes through: %s", (wantedBy) => {
  const sandboxes = { create: vi.fn(), idle: () => [] } as unknown as HostedSandboxes;
  const asked = { type: "create", poolId: "p", sandboxId: "s1", workerId: "w1", wantedBy, spec: spec() } as const;
  const ask = poolWiring.says.create as { request(event: typeof asked): { payload: string } };
  const body = CreateSandbox.body.parse(JSON.parse(ask.request(asked).payload));
  const facts = { workerId: "w1", host: "h", isolation: "none", architecture: "x86_64", runtimes: () => [] } as const;
  const row = workerWiring(facts, sandboxes).hears.find(({ contract }) => contract.pattern === CreateSandbox.pattern);
  const event = row?.toEvent(body, { replyTo: "asker" } as unknown as Delivery);
  if (event === undefined) throw new Error("a worker doesn't hear it");

  const input = { workerId: "w1", zone: "a", capacityMiB: 1024, beatMs: 1000 };
  const worker = createActor(workerLogic(sandboxes), { input }).start();
  worker.send({ type: "worker.lease", replyTo: undefined, endsAt: 0 });
  worker.send(event);
  expect(sandboxes.create).toHaveBeenCalledExactlyOnceWith("s1", "p", spec(), wantedBy);
  worker.stop();
});
