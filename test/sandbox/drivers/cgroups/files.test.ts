import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processesIn } from "../../../../actors/sandbox/drivers/cgroups/files.ts";

test("a group's processes are those that can be signalled: the kernel's 0 for any other would mean ourselves", async () => {
  const group = await mkdtemp(join(tmpdir(), "mayfly-group-"));
  try {
    expect(await processesIn(group)).toEqual([]);
    await writeFile(join(group, "cgroup.procs"), "12\n0\n345\n");
    expect(await processesIn(group)).toEqual([12, 345]);
  } finally {
    await rm(group, { recursive: true });
  }
});
