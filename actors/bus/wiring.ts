/**
 * The typed table of an actor's relation to the network: contract → event heard, event said → contract.
 *
 * The types make the table total: an emitted event without a row, a row that makes an event the machine does not know, a
 * misspelt slot and a body its schema forbids all fail to compile. Three emitted events need no row, the bus knows them:
 *   reply     { to, body? | payload?, headers? }   answers a request, with JSON or with bytes as they are
 *   refuse    { to, refusal }           answers it with a named error
 *   answered  { to, error? }            somebody else answered it: only the statistics want to know
 */
import type { AnyActorLogic, EmittedFrom, EventFromLogic } from "xstate";
import type { z } from "zod";
import type { Address, Contract, JsonContract } from "../../subjects/contract.ts";
import type { Refusal } from "../../subjects/errors.ts";
import type { Message, Said } from "./port.ts";

/** What is known of a message beside its body. `at` is epoch milliseconds, stamped on arrival. */
export interface Delivery<A = Readonly<Record<string, string>>> {
  readonly address: A;
  readonly replyTo: string | undefined;
  readonly at: number;
  /** Monotonic microseconds, for durations. */
  readonly us: number;
  readonly message: Message;
}

/**
 * What to do when no actor has the key: make one and send it the event (`spawn`), make one of the event itself (`birth`),
 * nothing (`ignore`), refuse by name, or answer in the row's own words.
 */
export type Absent = "spawn" | "birth" | "ignore" | Refusal | ((delivery: Delivery) => Said);

export interface Hear<E> {
  readonly contract: Contract;
  readonly subject: string;
  readonly queue?: string;
  /** Listed under this name by `nats micro`; requests have one, facts have none. */
  readonly endpoint?: string;
  readonly absent: Absent;
  /** Whether a message is looked at at all; without it each one is. */
  heeds?(message: Message): boolean;
  /** An answer's body where the server says that nobody was there to give one. Without it that is no answer. */
  readonly nobody?: unknown;
  toEvent(body: unknown, delivery: Delivery): E;
  /** Which actor of the population it is for; `undefined` means each of them. */
  key(body: unknown, delivery: Delivery, event: E): string | undefined;
}

export interface Ask<E, Heard> {
  readonly timeoutMs: number;
  request(event: E): Said;
  /** The reply's JSON to an event. */
  answered(body: unknown, event: E): Heard;
  /** A refusal, a reply that makes no sense, or none at all. */
  failed(refusal: Refusal, event: E): Heard;
}

type Reserved = "reply" | "refuse" | "answered";
export type Saying<E> = (event: E) => Said | readonly Said[] | undefined;

export interface Wiring<L extends AnyActorLogic> {
  readonly hears: ReadonlyArray<Hear<EventFromLogic<L>>>;
  readonly says: {
    readonly [E in EmittedFrom<L> as Exclude<E["type"], Reserved>]: Saying<E> | Ask<E, EventFromLogic<L>>;
  };
}

type Body<S> = S extends z.ZodType ? z.output<S> : Uint8Array;

interface HearOptions<P extends string, S extends z.ZodType | undefined, E> {
  /** Slots that are fixed for this listener; the others are wildcards. */
  readonly at?: Partial<Address<P>>;
  readonly queue?: string;
  readonly endpoint?: string;
  readonly absent?: Absent;
  readonly heeds?: (message: Message) => boolean;
  readonly nobody?: Body<S>;
  readonly key?: (body: Body<S>, delivery: Delivery<Address<P>>, event: E) => string | undefined;
  readonly toEvent: (body: Body<S>, delivery: Delivery<Address<P>>) => E;
}

/** A row for a contract with a JSON body. */
export function hear<const P extends string, S extends z.ZodType, E>(
  contract: JsonContract<P, S>,
  options: HearOptions<P, S, E>,
): Hear<E> {
  return row(contract as unknown as Contract, contract.subject(options.at ?? {}), options as unknown as Untyped<E>);
}

/** A row for a contract that carries the caller's bytes. */
export function hearRaw<const P extends string, E>(
  contract: Contract<P>,
  options: HearOptions<P, undefined, E>,
): Hear<E> {
  return row(contract as unknown as Contract, contract.subject(options.at ?? {}), options as unknown as Untyped<E>);
}

type Untyped<E> = HearOptions<string, z.ZodType, E>;

function row<E>(contract: Contract, subject: string, options: Untyped<E>): Hear<E> {
  return {
    contract,
    subject,
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    absent: options.absent ?? "ignore",
    ...(options.heeds === undefined ? {} : { heeds: options.heeds }),
    ...(options.nobody === undefined ? {} : { nobody: options.nobody }),
    key: options.key ?? (() => undefined),
    toEvent: options.toEvent,
  };
}

/** Says a JSON body on a contract. */
export const say = <const P extends string, S extends z.ZodType>(
  contract: JsonContract<P, S>,
  address: Address<P>,
  body: z.input<S>,
): Said => ({ subject: contract.subject(address), payload: JSON.stringify(body) });
