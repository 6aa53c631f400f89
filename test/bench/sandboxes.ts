/**
 * Sandboxes without a network around them: `node test/bench/sandboxes.ts [driver…] [--quick]`. Every driver this host has,
 * one after the other, or those that are named; those it hasn't are named with the reason.
 */
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseDriver, driverNames } from "../../actors/sandbox/drivers/choose.ts";
import { type DriverName, IsolationUnavailable } from "../../actors/sandbox/drivers/driver.ts";
import { beginWithOwnMounts } from "../../bin/run/own-mounts.ts";
import { median, ms, percentile } from "./figures.ts";
import { measure, type SandboxFigures } from "./sandbox-figures.ts";
import { SUBJECTS, type Subject } from "./sandbox-subjects.ts";

const quick = process.argv.includes("--quick");
const named = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const unknown = named.find((name) => !driverNames.some((each) => each === name));
if (unknown !== undefined) throw new Error(`"${unknown}" is no driver: ${driverNames.join(", ")}`);
/** The default is looked at most closely. */
const plans = { most: { rounds: 31, crowd: 100 }, some: { rounds: 15, crowd: 40 }, quick: { rounds: 5, crowd: 12 } };
const say = (text: string) => process.stdout.write(`${text}\n`);

await beginWithOwnMounts();

const HEAD = [
  "driver",
  "runtime",
  "bare",
  "made for the call",
  "from a stem cell",
  "round trip",
  "freeze; first answer",
];
const rows: string[][] = [[...HEAD, "idle (+ beside)", "made a second"]];
const notes: string[] = [];
const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-"));
await chmod(folder, 0o755);
try {
  const codes = new Map<Subject, string>();
  for (const [index, subject] of SUBJECTS.entries()) codes.set(subject, await written(String(index), subject.code));
  for (const name of driverNames.filter((each) => named.length === 0 || named.includes(each))) await bench(name, codes);
} finally {
  await rm(folder, { recursive: true, force: true });
}
const widths = HEAD.concat("", "").map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
say(
  "\nSandboxes by driver. Cold: times the bare start of the interpreter, p50/p99 of each, and ms; of few rounds p99 is the",
);
say("slowest. Round trip, freeze and the first answer out of it: p50 (p99) where two are given.");
for (const row of rows)
  say(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
for (const note of notes) say(note);

async function bench(name: DriverName, codes: ReadonlyMap<Subject, string>): Promise<void> {
  const chosen = await chooseDriver(name).catch((error: unknown) => {
    if (!(error instanceof IsolationUnavailable)) throw error;
    notes.push(`${name}: skipped, ${error.message}. ${error.remedy}`);
    return undefined;
  });
  if (chosen === undefined) return;
  const { driver, isolation } = chosen;
  const size = plans[quick ? "quick" : name === "bubblewrap" ? "most" : "some"];
  try {
    for (const [subject, code] of codes) {
      process.stderr.write(`${name}, ${subject.name}…\n`);
      const figures = await measure({ driver, isolation, subject, code, home: folder, ...size });
      rows.push([name, subject.name, ...cells(figures)]);
    }
    if (isolation.lacks.length > 0) notes.push(`${name} lacks: ${isolation.lacks.join(" ")}`);
  } finally {
    await driver.close();
  }
}

function cells({ bare, made, stem, hot, freeze, thawed, perSecond, within, beside }: SandboxFigures): string[] {
  const cold = (all: readonly number[]) => {
    if (all.length === 0) return "none";
    const times = [0.5, 0.99].map((share) => (percentile(all, share) / median(bare)).toFixed(2));
    return `${times.join("/")} × (${ms(median(all))})`;
  };
  const micros = (value: number) => `${(value * 1000).toFixed(0)} µs`;
  return [
    ms(median(bare)),
    cold(made),
    cold(stem),
    `${micros(median(hot))} (${micros(percentile(hot, 0.99))})`,
    freeze.length === 0 ? "none" : `${ms(median(freeze))}; ${ms(median(thawed))}`,
    `${within === 0 ? "not counted" : `${within.toFixed(1)} MiB`} (+ ${beside.toFixed(1)})`,
    perSecond.toFixed(1),
  ];
}

async function written(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const place = join(folder, name);
  await mkdir(place);
  for (const [file, text] of Object.entries(files)) await writeFile(join(place, file), text, { mode: 0o755 });
  await chmod(place, 0o755);
  return place;
}
