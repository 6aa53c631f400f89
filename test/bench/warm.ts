/** Warm invokes against a raw NATS echo of the same payload, in turn, with 1, 16 and 64 in flight. */
import type { NatsConnection } from "nats";
import { ERROR_CODE, FUNCTION_ERROR } from "../../subjects/headers.ts";
import { type Figures, figures, medianRound, ms, times } from "./figures.ts";

export interface WarmPlan {
  readonly echo: string;
  readonly invoke: string;
  readonly payload: string;
  readonly rounds: number;
  /** Requests of one round, by how many are in flight. */
  readonly requests: Readonly<Record<number, number>>;
}

export interface Compared {
  readonly inFlight: number;
  readonly echo: Figures;
  readonly invoke: Figures;
}

const ANSWER_MS = 30_000;

export async function benchWarm(connection: NatsConnection, plan: WarmPlan): Promise<Compared[]> {
  const compared: Compared[] = [];
  for (const [key, count] of Object.entries(plan.requests)) {
    const inFlight = Number(key);
    // So many in flight find their sandboxes started before the first round.
    await load(connection, plan.invoke, plan.payload, inFlight * 20, inFlight);
    const [echoes, invokes]: [Figures[], Figures[]] = [[], []];
    for (let round = 0; round < plan.rounds; round++) {
      echoes.push(await load(connection, plan.echo, plan.payload, count, inFlight));
      invokes.push(await load(connection, plan.invoke, plan.payload, count, inFlight));
    }
    compared.push({ inFlight, echo: medianRound(echoes), invoke: medianRound(invokes) });
  }
  return compared;
}

async function load(connection: NatsConnection, subject: string, payload: string, count: number, inFlight: number) {
  const timesMs: number[] = [];
  let [left, errors] = [count, 0];
  const one = async () => {
    while (left > 0) {
      left -= 1;
      const began = performance.now();
      const reply = await connection.request(subject, payload, { timeout: ANSWER_MS });
      timesMs.push(performance.now() - began);
      if (reply.headers?.has(ERROR_CODE) || reply.headers?.has(FUNCTION_ERROR)) errors += 1;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, one));
  return figures(timesMs, performance.now() - began, errors);
}

export const warmRatios = ({ inFlight, echo, invoke }: Compared): string =>
  `warm, ${inFlight} in flight: p50 ${times(invoke.p50Ms / echo.p50Ms)} an echo's, p99 ${times(invoke.p99Ms / echo.p99Ms)}; ` +
  `requests/s ${times(invoke.perSecond / echo.perSecond)}; errors ${invoke.errors}`;

export const warmAbsolutes = ({ inFlight, echo, invoke }: Compared): string =>
  `warm, ${inFlight} in flight: ${line("echo", echo)}; ${line("invoke", invoke)}`;

const line = (name: string, { p50Ms, p99Ms, perSecond }: Figures): string =>
  `${name} p50 ${ms(p50Ms)} p99 ${ms(p99Ms)} ${Math.round(perSecond)}/s`;
