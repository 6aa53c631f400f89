import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BACKLOG_IDLE_MS, givenBacklog } from "../../support/machines.ts";

const source = (name: string) => ({ stream: "ASYNC_0", subject: name, name, isFirst: name === "latest" });
const taken = (id: string) => ({ type: "event.taken", id }) as const;
const ended = (id: string) => ({ type: "event.ended", id }) as const;
const counted = (depth: number, ...names: string[]) =>
  ({ type: "backlog.counted", depth, sources: names.map(source) }) as const;
const stirred = (name: string) => ({ type: "backlog.stirred", sources: [source(name)] }) as const;
const configured = (limit: number, isPaused: boolean) => ({ type: "backlog.configured", limit, isPaused }) as const;

describe("a backlog", () => {
  test("opens each queue that holds something, as it learns of it", () => {
    const backlog = givenBacklog().when(stirred("latest"));
    expect(backlog.told).toEqual(["open latest"]);
    expect(backlog.when(counted(1, "retry")).told).toEqual(["open latest+retry", "check"]);
  });

  test("lets as many run as its limit says, the oldest first", () => {
    const backlog = givenBacklog({ limit: 2 }).when(taken("a"), taken("b"), taken("c"), taken("d"));
    expect(backlog.told).toEqual(["grant a", "grant b"]);
    expect(backlog.when(ended("b")).told).toEqual(["grant c"]);
    expect(backlog.when(ended("d")).told).toEqual([]);
  });

  test("never has more running than its limit, whatever comes and goes", () => {
    const step = fc.record({ isTaken: fc.boolean(), id: fc.integer({ min: 0, max: 20 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
        const backlog = givenBacklog({ limit });
        const inHand = new Set<string>();
        for (const { isTaken, id } of steps) {
          if (isTaken === inHand.has(String(id))) continue;
          backlog.when(isTaken ? taken(String(id)) : ended(String(id)));
          if (isTaken) inHand.add(String(id));
          else inHand.delete(String(id));
          const { running, waiting } = backlog.snapshot.context;
          expect(running.length).toBe(Math.min(limit, inHand.size));
          expect(new Set([...running, ...waiting])).toEqual(inHand);
        }
      }),
    );
  });

  test("with another limit takes anew, and lets more run at once", () => {
    const backlog = givenBacklog({ limit: 1 }).when(taken("a"), taken("b"));
    expect(backlog.when(configured(3, false)).told).toEqual(["close", "open ", "grant b"]);
  });
});

describe("a paused backlog", () => {
  test("gives back what has not begun and lets the rest finish", () => {
    const backlog = givenBacklog({ limit: 1 }).when(taken("a"), taken("b"));
    expect(backlog.when(configured(1, true)).told).toEqual(["close", "recall b"]);
    expect(backlog.when(ended("b")).told).toEqual([]);
    expect(backlog.snapshot.context.running).toEqual(["a"]);
  });

  test("gives back what was on its way", () => {
    expect(givenBacklog({ isPaused: true }).when(taken("a")).told).toEqual(["recall a"]);
  });

  test("opens what it learnt of meanwhile when it is resumed", () => {
    const backlog = givenBacklog({ isPaused: true }).when(stirred("latest"));
    expect(backlog.told).toEqual([]);
    expect(backlog.when(configured(2, false))).toMatchObject({ state: "active", told: ["open latest"] });
  });
});

describe("a backlog whose events another poller takes", () => {
  const aside = () => givenBacklog({ limit: 1 }).when(taken("a"), taken("b")).when({ type: "backlog.yielded" });

  test("gives back what has not begun, and lets the rest finish without beginning another", () => {
    const backlog = aside();
    expect(backlog.told).toEqual(["close", "recall b"]);
    expect(backlog.when(ended("a"), taken("c")).told).toEqual(["recall b", "recall c"]);
    expect(backlog.snapshot.context.running).toEqual([]);
  });

  test("asks with each count whether he is still there, and takes them when he isn't", () => {
    const backlog = aside().when(stirred("latest"));
    expect(backlog.when(counted(1, "latest")).told).toEqual(["check"]);
    expect(backlog.when({ type: "backlog.vacated" })).toMatchObject({ state: "active" });
    expect(backlog.told).toContain("open latest");
  });

  test("goes when nothing is left", () => {
    expect(aside().when(ended("a"), ended("b"), counted(0)).state).toBe("gone");
  });
});

describe("a backlog without work", () => {
  const idle = () => givenBacklog().when(counted(1, "latest"), counted(0));

  test("stays for a while, and goes", () => {
    expect(idle().state).toBe("idle");
    expect(idle().after(BACKLOG_IDLE_MS)).toMatchObject({ state: "gone", told: ["close"], isOver: true });
  });

  test("is at work again when something comes", () => {
    for (const event of [taken("a"), stirred("latest"), counted(1, "latest")])
      expect(idle().when(event).state).toBe("active");
  });

  test("doesn't count as such while something runs", () => {
    expect(givenBacklog().when(taken("a"), counted(0)).state).toBe("active");
  });
});
