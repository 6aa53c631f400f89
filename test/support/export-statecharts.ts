/** Rewrites actors/STATECHARTS.md: `node test/support/export-statecharts.ts`. */
import { writeFile } from "node:fs/promises";
import { statecharts } from "./statecharts.ts";

await writeFile(new URL("../../actors/STATECHARTS.md", import.meta.url), statecharts());
