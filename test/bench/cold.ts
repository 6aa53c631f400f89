/**
 * Cold starts, from the caller's request to its answer, against a bare start of the same interpreter, in turn: from a stem
 * cell, and in a sandbox that is made for the call by a system that keeps none.
 */
import { spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "nats";
import { RECEIPT, START } from "../../subjects/headers.ts";
import { median, ms, times } from "./figures.ts";

/** A system, and how the next call of the function is made cold there: a new revision never shares a sandbox with an old one. */
export interface ColdPlace {
  readonly connection: NatsConnection;
  readonly revise: () => Promise<void>;
}

export interface ColdPlan {
  readonly name: string;
  /** A program that prints one byte and ends. */
  readonly bare: readonly string[];
  readonly invoke: string;
  readonly payload: string;
  readonly samples: number;
  readonly withStems: ColdPlace;
  readonly withoutStems: ColdPlace;
}

export interface ColdFigures {
  readonly name: string;
  readonly bareMs: number;
  readonly stemMs: number;
  readonly madeMs: number;
  readonly notCold: number;
  /** Calls that should have found a stem cell, and didn't. */
  readonly notStem: number;
}

/** What was taken is replaced within it, on a machine that isn't busy. */
const REST_MS = 500;

export async function benchCold(plan: ColdPlan): Promise<ColdFigures> {
  const [bare, stem, made]: [number[], number[], number[]] = [[], [], []];
  let [notCold, notStem] = [0, 0];
  const sample = async ({ connection, revise }: ColdPlace) => {
    await revise();
    const began = performance.now();
    const reply = await connection.request(plan.invoke, plan.payload, { timeout: 30_000 });
    const tookMs = performance.now() - began;
    if (reply.headers?.get(START) !== "cold") notCold += 1;
    return { tookMs, isStem: reply.headers?.get(RECEIPT)?.includes("from=stem-cell") === true };
  };
  // The first of all tells the pool what is wanted.
  await sample(plan.withStems);
  for (let round = 0; round < plan.samples; round++) {
    bare.push(await firstByte(plan.bare));
    made.push((await sample(plan.withoutStems)).tookMs);
    await setTimeout(REST_MS);
    const { tookMs, isStem } = await sample(plan.withStems);
    if (isStem) stem.push(tookMs);
    else notStem += 1;
  }
  return {
    name: plan.name,
    bareMs: median(bare),
    stemMs: median(stem),
    madeMs: median(made),
    notCold,
    notStem,
  };
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

export const coldRatio = ({ name, bareMs, stemMs, madeMs, notCold, notStem }: ColdFigures): string =>
  `cold, ${name}: ${times(stemMs / bareMs)} a bare start from a stem cell, ${times(madeMs / bareMs)} without` +
  `${notCold === 0 ? "" : `; ${notCold} were not cold`}${notStem === 0 ? "" : `; ${notStem} found no stem cell`}`;
export const coldAbsolutes = ({ name, bareMs, stemMs, madeMs }: ColdFigures): string =>
  `cold, ${name}: ${ms(stemMs)} from a stem cell, ${ms(madeMs)} without; bare ${ms(bareMs)}`;
