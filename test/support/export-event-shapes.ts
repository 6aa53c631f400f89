/** Rewrites actors/trigger/EVENTS.md: `node test/support/export-event-shapes.ts`. */
import { writeFile } from "node:fs/promises";
import { eventShapes } from "./event-shapes.ts";

await writeFile(new URL("../../actors/trigger/EVENTS.md", import.meta.url), eventShapes());
