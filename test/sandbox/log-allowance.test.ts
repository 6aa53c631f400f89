import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LogAllowance } from "../../actors/sandbox/log-allowance.ts";

const limits = { burstBytes: 4000, bytesPerSecond: 1000 };
const SECOND_US = 1_000_000;

describe("a log's allowance", () => {
  test("lets a burst through, drops the rest, and tells once how much", () => {
    const allowance = new LogAllowance(limits);
    const kept = Array.from({ length: 50 }, () => allowance.admits(72, 0)).filter(Boolean).length;
    expect(kept).toBe(20);
    expect(allowance.missing()).toEqual({ lines: 30, bytes: 2160 });
    expect(allowance.missing()).toBeUndefined();
  });

  test("counts empty lines too", () => {
    const allowance = new LogAllowance(limits);
    expect(Array.from({ length: 100 }, () => allowance.admits(0, 0)).filter(Boolean)).toHaveLength(31);
  });

  test("opens again once a quarter has grown back, and not before", () => {
    const allowance = new LogAllowance(limits);
    while (allowance.admits(72, 0));
    expect(allowance.admits(72, SECOND_US * 0.9)).toBe(false);
    expect(allowance.admits(72, SECOND_US * 1.1)).toBe(true);
  });

  test("drops nothing of what stays within the stream", () => {
    const allowance = new LogAllowance(limits);
    for (let n = 0; n < 1000; n++) expect(allowance.admits(72, n * 0.2 * SECOND_US)).toBe(true);
    expect(allowance.missing()).toBeUndefined();
  });

  test("keeps no more than burst and stream together, whatever comes when", () => {
    const line = fc.record({ bytes: fc.nat(500), afterUs: fc.nat(SECOND_US) });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 200 }), (lines) => {
        const allowance = new LogAllowance(limits);
        let [us, kept] = [0, 0];
        for (const { bytes, afterUs } of lines) {
          us += afterUs;
          if (allowance.admits(bytes, us)) kept += bytes + 128;
        }
        expect(kept).toBeLessThanOrEqual(limits.burstBytes + (us / SECOND_US) * limits.bytesPerSecond + 1);
      }),
    );
  });
});
