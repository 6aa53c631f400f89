import { expect, test } from "vitest";
import {
  compareVersions,
  featuresOff,
  hasFeature,
  referenceServer,
  serverFeatures,
} from "../../../config/nats/features.ts";

test("versions compare by their numbers", () => {
  expect(compareVersions("2.9.10", "2.10.0")).toBeLessThan(0);
  expect(compareVersions("v2.14.5", "2.14.5")).toBe(0);
  expect(compareVersions("2.15.0-RC.1", "2.14.9")).toBeGreaterThan(0);
  expect(compareVersions("nats-server-2.15.1", "nats-server-2.9.1")).toBeGreaterThan(0);
});

test("an old server's missing features are told with what they mean", () => {
  const off = featuresOff("2.9.10").join("\n");
  expect(off).toContain("scheduled messages (needs nats-server 2.12.0)");
  expect(off).toContain("message and key TTLs");
});

test("on the reference server only what newer ones add is off, and on a new one nothing", () => {
  expect(featuresOff(referenceServer).join()).not.toContain("scheduled messages");
  expect(featuresOff("2.14.0")).toEqual([]);
  expect(hasFeature("2.14.5", serverFeatures.consumerDefault)).toBe(false);
});
