/**
 * Makes a checkout ready: installs its dependencies with npm where they are missing or others than package-lock.json
 * says, and says so while it takes time. `npm start` and `npm test` begin with it; with `--dev` come the tools of the
 * tests. Plain JavaScript, for whatever Node.js (20 or newer) the person has.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const oldestMajor = 20;
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const withDev = process.argv.includes("--dev");
const tellEveryMs = 5000;

if (Number.parseInt(process.versions.node, 10) < oldestMajor) {
  console.error(`Mayfly needs Node.js ${oldestMajor} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
const lacking = missing(contentsOf("package-lock.json")?.packages ?? {});
if (lacking > 0) process.exitCode = await install(lacking);

/** Of a JSON file of the checkout; undefined where it isn't. */
function contentsOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * How many of the lock file's packages aren't there in their version. Optional ones are for other machines or can be done
 * without, but for the Node.js that Mayfly brings along.
 */
function missing(wanted) {
  const ownNode = `node_modules/node-${process.platform}-${process.arch}`;
  return Object.entries(wanted)
    .filter(([place, { dev, optional }]) => place !== "" && (!dev || withDev) && (!optional || place === ownNode))
    .filter(([place, { version }]) => contentsOf(join(place, "package.json"))?.version !== version).length;
}

/**
 * Has npm install what the lock file says; resolves with npm's exit code. Of its words only a failure's are shown.
 *
 * Not `npm ci`: it refuses a lock file that was made with a registry which lacks packages for other systems.
 */
function install(count) {
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  console.log(
    `Setting up: installing ${count} package${count === 1 ? "" : "s"}${withDev ? ", the tests' tools among them" : ""} (once)…`,
  );
  const args = [
    "install",
    "--no-save",
    withDev ? "--include=dev" : "--omit=dev",
    "--include=optional",
    "--no-audit",
    "--no-fund",
  ];
  // At this level npm names each package it has got, which is the only sign of life it gives.
  const npm = spawn(...npmCommand([...args, "--loglevel=http", "--no-color"]), {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let got = 0;
  let complaints = [];
  let rest = "";
  npm.stderr.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    got += lines.filter((line) => /^npm http .*\.tgz /.test(line)).length;
    complaints = [...complaints, ...lines.filter((line) => /^npm err/i.test(line))].slice(0, 12);
  });
  const teller = setInterval(
    () => console.log(`  ${Math.min(got, count)} of ${count} packages, ${seconds()} s`),
    tellEveryMs,
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => npm.kill(signal));
  return new Promise((resolve) => {
    npm.once("error", (error) => {
      clearInterval(teller);
      console.error(`npm can't be started: ${error.message}`);
      resolve(1);
    });
    npm.once("close", (code, signal) => {
      clearInterval(teller);
      if (code === 0) console.log(`Set up in ${seconds()} s.`);
      else console.error([...complaints, `npm install has failed (${signal ?? `exit status ${code}`}).`].join("\n"));
      resolve(code ?? 1);
    });
  });
}

/** The npm that runs us, else the one on PATH. */
function npmCommand(args) {
  const script = process.env.npm_execpath;
  return script?.endsWith(".js") ? [process.execPath, [script, ...args]] : ["npm", args];
}
