import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { canHideMounts } from "../../../actors/sandbox/drivers/mounter.ts";
import { privateMountsIfAllowed } from "../../../actors/sandbox/drivers/private-mounts.ts";
import { describeUnless, lackingIf } from "../../support/unless.ts";

const run = promisify(execFile);
const mounter = join(import.meta.dirname, "../../../actors/sandbox/drivers/mounter.ts");
const enter = await privateMountsIfAllowed();

/** Run where mounts are its own: shows a folder at a second place, looks, and takes it down again. */
const program = `
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { canHideMounts, inMounts, inMountsAtOnce } from ${JSON.stringify(mounter)};
const [from, to] = process.argv.slice(1);
const said = (...command) => inMounts(...command).then(() => "done", ({ message }) => message);
const seen = [];
seen.push(await said("mount", "-n", "--bind", from, to), readdirSync(to));
seen.push(await said("umount", "-n", to), readdirSync(to));
// It waits for no other: the first ends once it has seen what the second mounts.
const first = said("sh", "-c", 'while [ ! -e "$0/it" ]; do sleep 0.01; done; umount -n "$0"', to);
await inMountsAtOnce("mount", "-n", "--bind", from, to);
seen.push(await first, readdirSync(to));
seen.push(await said("mount", "-n", "--bind", from + "-gone", to));
seen.push(await said("umount", "-n", to));
seen.push(await said("mount", "-n", "-t", "tmpfs", "tmp", to), await said("umount", "-n", to));
writeFileSync(to + "/below", "");
await said("mount", "-n", "-t", "tmpfs", "tmp", to);
writeFileSync(to + "/kept", "");
mkdirSync(to + "/under");
await said("mount", "-n", "--bind", from, to + "/under");
const mounts = () => readFileSync("/proc/self/mountinfo", "utf8").split("\\n").filter((line) => line.includes(to)).length;
if (canHideMounts) {
  seen.push(mounts(), await said("hide", to), mounts(), readdirSync(to));
  seen.push(await said("show", to), mounts(), readdirSync(to), readdirSync(to + "/under"));
  seen.push(await said("show", to), await said("hide", to), await said("forget", to), await said("show", to), mounts());
  await said("mount", "-n", "-t", "tmpfs", "tmp", to);
  seen.push(mounts(), await said("forget", to), mounts());
}
seen.push(await said("sh", "-c", "echo no; echo never >&2; exit 3"));
seen.push(await said("no-such-program"));
console.log(JSON.stringify(seen));
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-mounter-"));
  for (const name of ["from", "to"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "from", "it"), "");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What is said and seen where mounts can be taken out of sight. */
const hidden = [
  ...[2, "done", 0, ["below"]],
  ...["done", 2, ["kept", "under"], ["it"]],
  ...[expect.stringContaining("No such file"), "done", "done", expect.stringContaining("No such file"), 0],
  ...[1, "done", 0],
];

describeUnless(lackingIf(enter.length === 0, "nobody may have mounts of his own here"))("the mounting process", () => {
  it("mounts, takes down, runs anything else, and says what the kernel or a program said", async () => {
    const [first = "", ...before] = enter;
    const node = [process.execPath, "--input-type=module", "--eval", program, join(folder, "from"), join(folder, "to")];
    const { stdout } = await run(first, [...before, ...node]);
    expect(JSON.parse(stdout)).toEqual([
      ...["done", ["it"]],
      ...["done", []],
      ...["done", []],
      expect.stringMatching(/^mount .*-gone.*: .*(No such file|does not exist)/),
      expect.stringMatching(/^umount .*: .*(Invalid argument|not mounted)/),
      ...["done", "done"],
      ...(canHideMounts ? hidden : []),
      expect.stringMatching(/: no never ?$/),
      expect.stringContaining("no-such-program: "),
    ]);
  });

  it("lives on where there can be none for want of descriptors, and begins anew where there can", async () => {
    const program = `
import { closeSync, openSync } from "node:fs";
import { inMounts } from ${JSON.stringify(mounter)};
const said = () => inMounts("true").then(() => "done", ({ message }) => message);
const hoard = [];
try { for (;;) hoard.push(openSync("/dev/null", "r")); } catch {}
const seen = [await said()];
for (const each of hoard) closeSync(each);
seen.push(await said());
console.log(JSON.stringify(seen));`;
    const [first = "", ...before] = enter;
    const node = ["prlimit", "--nofile=100:100", process.execPath, "--input-type=module", "--eval", program];
    const { stdout } = await run(first, [...before, ...node]);
    expect(JSON.parse(stdout)).toEqual(["the mounting process has ended", "done"]);
  });
});
