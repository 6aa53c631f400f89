import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { privateMountsIfAllowed } from "../../../actors/sandbox/drivers/private-mounts.ts";
import { describeUnless, lackingIf } from "../../support/unless.ts";

const run = promisify(execFile);
const staging = join(import.meta.dirname, "../../../actors/sandbox/drivers/staging.ts");
const enter = await privateMountsIfAllowed();

/** Run where mounts are its own. */
const program = `
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Staging } from ${JSON.stringify(staging)};
const [folder] = process.argv.slice(1);
const at = (...names) => join(folder, ...names);
const views = new Staging(at("views"));
const seen = {};
const code = at("code");
const first = await views.hold(code);
seen.shown = readdirSync(first.path);
await first.release();
const again = await views.hold(code);
seen.isKept = again.path === first.path;
const makeAnew = (name) => {
  rmSync(code, { recursive: true });
  mkdirSync(code);
  writeFileSync(at("code", name), "");
};
makeAnew("new");
const second = await views.hold(code);
seen.anew = [second.path !== first.path, readdirSync(second.path)];
await again.release();
seen.old = existsSync(first.path);
await second.release();
makeAnew("newer");
const third = await views.hold(code);
seen.unused = [existsSync(second.path), readdirSync(third.path)];
for (let each = 0; each < 40; each++) {
  const other = at("other-" + each);
  mkdirSync(other);
  await (await views.hold(other)).release();
}
seen.left = readdirSync(at("views")).length;
seen.inUse = readdirSync(third.path);
console.log(JSON.stringify(seen));
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-staging-"));
  for (const name of ["views", "code"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "code", "old"), "");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeUnless(lackingIf(enter.length === 0, "nobody may have mounts of his own here"))(
  "views of what sandbox users can't walk to",
  () => {
    it("are kept for the next one, but for the oldest, and never show what isn't there any more", async () => {
      const [first = "", ...before] = enter;
      const node = [process.execPath, "--input-type=module", "--eval", program, folder];
      const { stdout } = await run(first, [...before, ...node]);
      expect(JSON.parse(stdout)).toEqual({
        shown: ["old"],
        isKept: true,
        // Whoever had it when it was removed keeps it to his end.
        anew: [true, ["new"]],
        old: false,
        unused: [false, ["newer"]],
        // 32 that nobody uses, and one that somebody does.
        left: 33,
        inUse: ["newer"],
      });
    });
  },
);
