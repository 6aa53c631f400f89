import { describe, expect, test } from "vitest";
import { limitsOf } from "../../../actors/sandbox/drivers/oci/limits.ts";

const spec = { pids: 60, mounts: [] };
const types = ({ byRuntime }: ReturnType<typeof limitsOf>) => byRuntime.map(({ type }) => type).sort();
const ALL = ["RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_SIGPENDING"];
const prlimit = "/usr/bin/prlimit";

describe("the limits of an OCI runtime's sandboxes", () => {
  test("are the runtime's to set where it is the sandbox's own kernel, or within its own user's namespace", () => {
    for (const limits of [
      limitsOf({ limits: "inside", prlimit }, spec, false),
      limitsOf({ limits: "early", prlimit }, spec, true),
      limitsOf({ limits: "as root", prlimit }, spec, false),
    ]) {
      expect(limits).toMatchObject({ before: [], inside: [] });
      expect(types(limits)).toEqual(ALL);
    }
  });

  test("stand before a runtime that could only set them as root with all rights", () => {
    const { before, byRuntime, inside } = limitsOf({ limits: "as root", prlimit }, spec, true);
    expect(before).toEqual([
      prlimit,
      "--nofile=1024",
      "--core=1",
      "--sigpending=1024",
      "--memlock=65536",
      "--nproc=64",
      "--",
    ]);
    expect([byRuntime, inside]).toEqual([[], []]);
  });

  test("are left to the inside where they would count against the maker of all of them", () => {
    const limits = limitsOf({ limits: "early", prlimit }, spec, false);
    expect(types(limits)).toEqual(["RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_NPROC"]);
    expect(limits.inside).toEqual([prlimit, "--sigpending=1024", "--memlock=65536", "--"]);
    const ownUsr = { ...spec, mounts: [{ from: "/runtime", to: "/usr" }] };
    expect(limitsOf({ limits: "early", prlimit }, ownUsr, false).inside).toEqual([]);
  });
});
