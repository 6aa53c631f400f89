import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { privateMountsIfAllowed } from "../../../actors/sandbox/drivers/private-mounts.ts";
import { spareMounts } from "../../../actors/sandbox/drivers/spare-mounts.ts";
import { lackingIf, testUnless } from "../../support/unless.ts";

const run = promisify(execFile);
const module = join(import.meta.dirname, "../../../actors/sandbox/drivers/spare-mounts.ts");
const enter = await privateMountsIfAllowed();

it("are those of the kernel's switches that a worker doesn't turn, the latest first", () => {
  const mountinfo = `
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /sys rw shared:7 - sysfs sys rw
24 23 0:22 / /sys/fs/cgroup rw - tmpfs cgroup rw,mode=755
25 24 0:23 / /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory
26 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
27 24 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
28 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw
29 23 0:27 / /sys/kernel/debug rw - debugfs debugfs rw
30 29 0:28 / /sys/kernel/debug/tracing rw - tracefs tracefs rw
31 21 0:5 / /dev rw - devtmpfs dev rw
32 31 0:29 / /dev/shm rw - tmpfs shm rw
33 31 0:30 / /dev/pts rw - devpts pts rw
34 31 0:30 / /dev/pts rw - devpts pts rw
35 31 0:31 / /dev/hugepages rw - hugetlbfs hugepages rw
36 35 0:32 / /dev/hugepages/debug rw - debugfs debug rw
37 36 0:33 / /dev/hugepages/debug/pool rw - tmpfs pool rw
`;
  expect(spareMounts(mountinfo)).toEqual([
    "/dev/pts",
    "/dev/pts",
    "/sys/kernel/debug/tracing",
    "/sys/kernel/debug",
    "/sys/fs/cgroup/systemd",
  ]);
});

testUnless(lackingIf(enter.length === 0 || process.geteuid?.() !== 0, "only root may take down what the host mounted"))(
  "go in mounts of the worker's own, and nowhere else",
  async () => {
    const program = `
import { readFileSync } from "node:fs";
import { spareMounts, takeDownSpareMounts } from ${JSON.stringify(module)};
const left = () => spareMounts(readFileSync("/proc/self/mountinfo", "utf8"));
const before = left();
await takeDownSpareMounts();
console.log(JSON.stringify([before.sort(), left()]));
`;
    const node = [process.execPath, "--input-type=module", "--eval", program];
    const outside = async () => spareMounts((await run("cat", ["/proc/self/mountinfo"])).stdout);
    const host = await outside();
    const [first = "", ...before] = enter;
    const { stdout } = await run(first, [...before, ...node]);
    expect(JSON.parse(stdout)).toEqual([[...host].sort(), []]);
    expect(await outside()).toEqual(host);
  },
);
