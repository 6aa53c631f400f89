/** Cold starts, from the caller's request to its answer, against a bare start of the same interpreter, in turn. */
import { spawn } from "node:child_process";
import type { NatsConnection } from "nats";
import { START } from "../../subjects/headers.ts";
import { median, ms, times } from "./figures.ts";

export interface ColdPlan {
  readonly name: string;
  /** A program that prints one byte and ends. */
  readonly bare: readonly string[];
  readonly invoke: string;
  readonly payload: string;
  readonly samples: number;
  /** Makes the next invoke cold: a new revision never shares a sandbox with an old one. */
  readonly revise: () => Promise<void>;
}

export interface ColdFigures {
  readonly name: string;
  readonly bareMs: number;
  readonly coldMs: number;
  readonly notCold: number;
}

export async function benchCold(connection: NatsConnection, plan: ColdPlan): Promise<ColdFigures> {
  const [bare, cold]: [number[], number[]] = [[], []];
  let notCold = 0;
  for (let sample = 0; sample < plan.samples; sample++) {
    bare.push(await firstByte(plan.bare));
    await plan.revise();
    const began = performance.now();
    const reply = await connection.request(plan.invoke, plan.payload, { timeout: 30_000 });
    cold.push(performance.now() - began);
    if (reply.headers?.get(START) !== "cold") notCold += 1;
  }
  return { name: plan.name, bareMs: median(bare), coldMs: median(cold), notCold };
}

/** Milliseconds from the start of a program to the first byte it writes. */
export function firstByte([program = "", ...args]: readonly string[]): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    child.stdout.once("data", () => {
      const tookMs = performance.now() - began;
      child.once("exit", () => resolve(tookMs));
    });
    child.once("error", reject);
  });
}

export const coldRatio = ({ name, bareMs, coldMs, notCold }: ColdFigures): string =>
  `cold, ${name}: ${times(coldMs / bareMs)} a bare start${notCold === 0 ? "" : `; ${notCold} were not cold`}`;
export const coldAbsolutes = ({ name, bareMs, coldMs }: ColdFigures): string =>
  `cold, ${name}: ${ms(coldMs)}; bare ${ms(bareMs)}`;
