/**
 * What a pool decides, as one pure function of its book and what happened: no sandbox is granted twice, none is started
 * that nobody needs, and whoever wants one is served in the order of asking.
 */
import type { Refusal } from "../../subjects/errors.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import { type Book, type Slot, slotFound, UNKNOWN } from "./book.ts";
import type { Decision, PoolEvent } from "./events.ts";
import { GIVEN_UP, NO_ROOM, notStarted } from "./refusals.ts";

/** Takes note of what happened, then serves whoever can be served and starts what is needed. */
export function decide(book: Book, event: PoolEvent): readonly [Book, readonly Decision[]] {
  const page = new Page(book);
  page.note(event);
  page.grantIdle();
  page.startNeeded();
  return [page.book(), page.decisions];
}

/** Takes note of what happened and serves nobody: what was being placed is given up before it is started. */
export function note(book: Book, event: PoolEvent): Book {
  const page = new Page(book);
  page.note(event.type === "sandbox.placed" ? { ...event, type: "sandbox.notCreated", refusal: GIVEN_UP } : event);
  return page.book();
}

/** Ticks for which room is kept for who was about to want a sandbox: Counting has answered by then. */
const AHEAD_TICKS = 2;

/**
 * Starts that may fail for reasons of their hosts before somebody is told: each is tried on another host, where there is one,
 * or a moment later. What is at fault in general isn't tried for ever, and costs each who wants one a single attempt.
 */
const HOST_FAULTS = 3;

/** A draft of the next book. */
class Page {
  readonly decisions: Decision[] = [];
  readonly #book: Book;
  readonly #slots: Map<string, Slot>;
  readonly #wants: Map<string, number>;
  readonly #silence: Map<string, number>;
  #spec: FunctionSpec | null;
  #started: number;
  #avoid: readonly string[];
  #resting: boolean;
  #stuckTicks: number;
  #notPlaced: Refusal | null;
  #hostFaults: number;
  /** Who has been heard in this step will want one more. */
  #isAhead = false;

  constructor(book: Book) {
    this.#book = book;
    this.#slots = new Map(book.slots);
    this.#wants = new Map(book.wants);
    this.#silence = new Map(book.silence);
    this.#spec = book.spec;
    this.#started = book.started;
    this.#avoid = book.avoid;
    this.#resting = book.resting;
    this.#stuckTicks = book.stuckTicks;
    this.#notPlaced = book.notPlaced;
    this.#hostFaults = book.hostFaults;
  }

  book(): Book {
    return {
      ...this.#book,
      spec: this.#spec,
      slots: this.#slots,
      wants: this.#wants,
      silence: this.#silence,
      started: this.#started,
      avoid: this.#avoid,
      resting: this.#resting,
      stuckTicks: this.#stuckTicks,
      notPlaced: this.#notPlaced,
      hostFaults: this.#hostFaults,
    };
  }

  note(event: PoolEvent): void {
    switch (event.type) {
      case "pool.want":
        this.#spec = event.spec;
        this.#silence.set(event.frontendId, 0);
        this.#isAhead = event.ahead === true;
        if (event.count === 0) this.#wants.delete(event.frontendId);
        else this.#wants.set(event.frontendId, event.count);
        return;
      case "pool.return":
        return this.#returned(event.sandboxId, event.frontendId, event.alive);
      case "frontend.held":
        this.#silence.set(event.frontendId, 0);
        return;
      case "sandbox.placed":
        return this.#placed(event.sandboxId, event.workerId);
      case "sandbox.notPlaced":
        this.#slots.delete(event.sandboxId);
        this.#resting = true;
        this.#notPlaced = event.refusal;
        return;
      case "sandbox.created":
        return;
      case "sandbox.notCreated": {
        const slot = this.#slots.get(event.sandboxId);
        if (slot?.at === "starting") this.#avoid = [...this.#avoid, slot.workerId];
        this.#slots.delete(event.sandboxId);
        return;
      }
      case "sandbox.reported":
        return this.#reported(event);
      case "worker.lost":
        for (const [id, slot] of this.#slots) {
          if (slot.at !== "placing" && slot.workerId === event.workerId) this.#slots.delete(id);
        }
        return;
      case "worker.hosted":
        for (const { sandboxId, state } of event.sandboxes) {
          // One that was starting may be idle by now, and its word of that lost.
          const known = this.#slots.get(sandboxId);
          if (known !== undefined && (known.at !== "starting" || state !== "idle")) continue;
          this.#slots.set(sandboxId, slotFound(event.workerId, state));
        }
        return;
      case "pool.tick":
        return this.#tick();
    }
  }

  /** The most recently used idle sandbox goes to whoever has waited longest. */
  grantIdle(): void {
    const idle = [...this.#slots].filter(([, slot]) => slot.at === "idle");
    for (const [frontendId] of [...this.#wants]) {
      while (this.#wants.has(frontendId)) {
        const [sandboxId, slot] = idle.pop() ?? [];
        if (sandboxId === undefined || slot?.at !== "idle") return;
        this.#served(frontendId);
        this.#slots.delete(sandboxId);
        this.#slots.set(sandboxId, { at: "held", workerId: slot.workerId, frontendId });
        const { poolId } = this.#book;
        this.decisions.push({ type: "grant", poolId, frontendId, sandboxId, workerId: slot.workerId });
      }
    }
  }

  /**
   * One start per want that nothing is being started for: never more. For who is about to want one, no more is done than to
   * ask where there is room, and for one at a time: what is asked and not used keeps others out for a moment.
   */
  startNeeded(): void {
    const wanted = [...this.#wants.values()].reduce((sum, each) => sum + each, 0);
    const atOnce = this.#book.limits.starting;
    const wantedNow = Math.min(wanted, atOnce);
    for (const [sandboxId, slot] of this.#slots) {
      if (slot.at === "placed" && this.#count("starting") < wantedNow) this.#start(sandboxId, slot.workerId);
    }
    const starting = this.#count("placing") + this.#count("starting");
    for (let each = starting; each < wantedNow; each++) this.#place();
    const isPrepared = starting > wanted || this.#count("idle") + this.#count("placed") > 0;
    if (this.#isAhead && !isPrepared && starting < atOnce && wanted < atOnce) this.#place();
  }

  #place(): void {
    if (this.#spec === null || this.#resting) return;
    this.#started += 1;
    const { poolId, epoch } = this.#book;
    const sandboxId = `${epoch}-${this.#started}`;
    this.#slots.set(sandboxId, { at: "placing" });
    this.decisions.push({ type: "place", poolId, sandboxId, spec: this.#spec, avoid: this.#avoid });
  }

  #start(sandboxId: string, workerId: string): void {
    if (this.#spec === null) return;
    const { poolId } = this.#book;
    const wantedBy = this.#unserved();
    this.#slots.set(sandboxId, { at: "starting", workerId, ticks: 0, wantedBy });
    this.decisions.push({ type: "create", poolId, sandboxId, workerId, wantedBy, spec: this.#spec });
  }

  /** Who has waited longest of those for whom not enough is starting. */
  #unserved(): string | undefined {
    const starting = [...this.#slots.values()].flatMap((slot) => (slot.at === "starting" ? [slot.wantedBy] : []));
    return [...this.#wants].find(([id, count]) => count > starting.filter((wantedBy) => wantedBy === id).length)?.[0];
  }

  #count(standing: Slot["at"]): number {
    return [...this.#slots.values()].filter(({ at }) => at === standing).length;
  }

  #returned(sandboxId: string, frontendId: string, alive: boolean): void {
    const slot = this.#slots.get(sandboxId);
    // One that its worker has granted, and whose word of that was lost, is known by who gives it back.
    if (slot?.at !== "held" && slot?.at !== "starting") return;
    const holder = slot.at === "held" ? slot.frontendId : slot.wantedBy;
    if (holder !== frontendId && holder !== UNKNOWN) return;
    if (slot.at === "starting") this.#served(frontendId);
    this.#slots.delete(sandboxId);
    if (alive) this.#slots.set(sandboxId, { at: "idle", workerId: slot.workerId });
  }

  #placed(sandboxId: string, workerId: string): void {
    this.#notPlaced = null;
    if (this.#slots.get(sandboxId)?.at !== "placing") return;
    this.#slots.set(sandboxId, { at: "placed", workerId, ticks: 0 });
  }

  #reported(report: Extract<PoolEvent, { type: "sandbox.reported" }>): void {
    const { sandboxId, workerId, state, grantedTo, hostFault } = report;
    const slot = this.#slots.get(sandboxId);
    if (state === "idle") {
      this.#hostFaults = 0;
      if (grantedTo !== undefined) return this.#granted(sandboxId, workerId, grantedTo);
      if (slot?.at !== "held") this.#slots.set(sandboxId, { at: "idle", workerId });
      return;
    }
    this.#slots.delete(sandboxId);
    if (state === "dead") return;
    if (hostFault !== undefined && !this.#isGivenUp(slot, workerId)) return;
    const wantedBy = slot?.at === "starting" ? slot.wantedBy : undefined;
    const frontendId = this.#wants.has(wantedBy ?? "") ? wantedBy : [...this.#wants.keys()][0];
    if (frontendId === undefined) return;
    this.#served(frontendId);
    const { poolId } = this.#book;
    this.decisions.push({ type: "startFailed", poolId, frontendId, ...notStarted(report) });
  }

  /** By its host's fault it came to nothing: whoever wants one gets another, elsewhere, until that has failed too often. */
  #isGivenUp(slot: Slot | undefined, workerId: string): boolean {
    this.#avoid = [...this.#avoid, workerId];
    // One that had to boot again: who had invoked it asks again.
    if (slot?.at !== "starting") return false;
    this.#hostFaults += 1;
    return this.#hostFaults >= HOST_FAULTS;
  }

  /** By its worker. Whoever isn't heard any more loses it in time. */
  #granted(sandboxId: string, workerId: string, frontendId: string): void {
    this.#slots.delete(sandboxId);
    this.#slots.set(sandboxId, { at: "held", workerId, frontendId });
    if (!this.#silence.has(frontendId)) this.#silence.set(frontendId, 0);
    this.#served(frontendId);
  }

  #tick(): void {
    for (const [sandboxId, slot] of this.#slots) {
      if (slot.at !== "starting" && slot.at !== "placed") continue;
      const limit = slot.at === "placed" ? AHEAD_TICKS : this.#book.limits.startTicks;
      if (slot.ticks < limit) this.#slots.set(sandboxId, { ...slot, ticks: slot.ticks + 1 });
      else this.#slots.delete(sandboxId);
    }
    this.#avoid = [];
    for (const [frontendId, ticks] of this.#silence) {
      if (ticks < this.#book.limits.silentTicks) this.#silence.set(frontendId, ticks + 1);
      else this.#forget(frontendId);
    }
    this.#resting = false;
    const isStuck = this.#wants.size > 0 && this.#slots.size === 0;
    this.#stuckTicks = isStuck ? this.#stuckTicks + 1 : 0;
    const unfit = this.#notPlaced?.name === "InvalidRuntimeException" ? this.#notPlaced : undefined;
    const { stuckTicks, unfitTicks } = this.#book.limits;
    if (this.#stuckTicks > (unfit === undefined ? stuckTicks : unfitTicks)) this.#giveUp(unfit ?? NO_ROOM);
  }

  #giveUp(refused: Refusal): void {
    const { poolId } = this.#book;
    for (const [frontendId, count] of this.#wants) {
      for (let each = 0; each < count; each++) {
        this.decisions.push({ type: "startFailed", poolId, frontendId, refused });
      }
    }
    this.#wants.clear();
    this.#stuckTicks = 0;
  }

  /** What a silent front end held is idle again, as far as the pool can know. */
  #forget(frontendId: string): void {
    this.#silence.delete(frontendId);
    this.#wants.delete(frontendId);
    for (const [sandboxId, slot] of this.#slots) {
      if (slot.at === "held" && slot.frontendId === frontendId) {
        this.#slots.set(sandboxId, { at: "idle", workerId: slot.workerId });
      }
    }
  }

  #served(frontendId: string): void {
    const left = (this.#wants.get(frontendId) ?? 0) - 1;
    if (left > 0) this.#wants.set(frontendId, left);
    else this.#wants.delete(frontendId);
  }
}
