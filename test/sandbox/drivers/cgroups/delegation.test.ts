import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { delegationRemedy } from "../../../../actors/sandbox/drivers/cgroups/delegation.ts";

const USER = 1000;
const MANAGER = `user.slice/user-${USER}.slice/user@${USER}.service`;

describe("what gives a worker all limits", () => {
  let top: string;

  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), "mayfly-delegation-"));
    await controllers("", "cpuset cpu io memory pids");
    vi.stubEnv("XDG_RUNTIME_DIR", `/run/user/${USER}`);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(top, { recursive: true });
  });

  const controllers = async (group: string, names: string) => {
    await mkdir(join(top, group), { recursive: true });
    await writeFile(join(top, group, "cgroup.controllers"), `${names}\n`);
  };
  const remedy = (own: string, { uid = USER, systemd = top } = {}) =>
    delegationRemedy([{ version: 2, controllers: [], top, own: join(top, own) }], uid, systemd);

  test("is a scope of the user's own, where the user's manager has the controllers", async () => {
    await controllers(MANAGER, "cpu memory pids");
    const session = `user.slice/user-${USER}.slice/session-1.scope`;
    expect(await remedy(session)).toMatch(/of its own: systemd-run --user --scope -p Delegate=yes mayfly up$/);
    vi.stubEnv("XDG_RUNTIME_DIR", "");
    expect(await remedy(session)).toContain(`: XDG_RUNTIME_DIR=/run/user/${USER} systemd-run --user`);
  });

  test("begins with more for the user's manager, where that has too few or isn't there", async () => {
    expect(await remedy("user.slice")).toContain(`loginctl enable-linger ${USER}`);
    await controllers(MANAGER, "memory pids");
    expect(await remedy("user.slice")).toMatch(
      /Delegate=cpu memory pids into \S+user@\.service\.d.*systemd-run --user/,
    );
  });

  test("is a line in the unit of a service", async () => {
    expect(await remedy("system.slice/system-x.slice/faas.service/inner")).toContain("systemctl edit faas.service");
  });

  test("is a group that root makes, where there is no systemd", async () => {
    const given = await remedy("", { systemd: join(top, "nothing") });
    const group = `${top}/mayfly-${USER}`;
    expect(given).toContain(`mkdir -p ${group}/mayfly-workers; chown -R ${USER} ${group};`);
  });

  test("is to be root, where only the first generation has controllers, and writable groups for root itself", async () => {
    await controllers("", "hugetlb");
    expect(await remedy("")).toBe("Run the worker as root.");
    expect(await remedy("", { uid: 0 })).toContain("Mount control groups");
    await controllers("", "cpu memory pids");
    expect(await remedy("", { uid: 0 })).toContain("--privileged");
  });
});
