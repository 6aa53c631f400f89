/** The folder of package.json: one up in a checkout, two up in a built package (`dist/bin`). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

export const packageRoot: string = (() => {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
    folder = parent;
  }
  return folder;
})();
