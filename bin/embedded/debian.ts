/**
 * A program out of a Debian package, without installing it: apt with a state folder of its own
 * fetches and authenticates the package, dpkg unpacks it. Nothing of the system changes, and no
 * rights are needed. Works on Debian and Ubuntu, where the archive's keys are on the machine.
 */
import { execFile } from "node:child_process";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Way } from "./find-program.ts";
import { onPath } from "./program.ts";

const run = promisify(execFile);

export interface DebianPackage {
  readonly package: string;
  /** The program's path in the package, as `usr/bin/bwrap`; several where releases differ. */
  readonly program: readonly string[];
  /** Names of releases, as `forky`; `own` is the machine's. */
  readonly suite: string;
}

const keyrings: Readonly<Record<string, string>> = {
  debian: "/usr/share/keyrings/debian-archive-keyring.gpg",
  ubuntu: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
};

export function debianPackage(wanted: DebianPackage, env: NodeJS.ProcessEnv): Way {
  const label = wanted.suite === "own" ? "the system's package" : `Debian's package of ${wanted.suite}`;
  return {
    name: `${label}, unpacked without installing`,
    async fetch(bench) {
      const { apt, dpkg } = await tools(env);
      const system = await readSystem();
      if (wanted.suite !== "own" && system.id !== "debian") throw new Error("this isn't Debian");
      const suite = wanted.suite === "own" ? system.codename : wanted.suite;
      const failures: string[] = [];
      for (const [index, mirror] of (await mirrors(apt, system.codename, env)).entries()) {
        const folder = join(bench, `apt-${index}`);
        try {
          return await fetchFrom(`${mirror} ${suite} main`, folder, { apt, dpkg, system, wanted, env });
        } catch (error) {
          failures.push(complaint(error));
        }
      }
      throw new Error(failures[0] ?? `apt names no mirror of ${system.codename}`);
    },
  };
}

interface System {
  readonly id: string;
  readonly codename: string;
  readonly keyring: string;
}

interface Fetching {
  readonly apt: string;
  readonly dpkg: string;
  readonly system: System;
  readonly wanted: DebianPackage;
  readonly env: NodeJS.ProcessEnv;
}

async function fetchFrom(
  source: string,
  folder: string,
  { apt, dpkg, system, wanted, env }: Fetching,
): Promise<string> {
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  await mkdir(join(folder, "archives", "partial"), { recursive: true });
  await writeFile(join(folder, "sources.list"), `deb [signed-by=${system.keyring}] ${source}\n`);
  await writeFile(join(folder, "status"), "");
  const options = {
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::State": folder,
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": folder,
    // apt's own user couldn't enter a folder that is private to us.
    "APT::Sandbox::User": "",
    "APT::Update::Error-Mode": "any",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::IndexTargets::deb::CNF::DefaultEnabled": "false",
    "Acquire::http::Timeout": "15",
    "Acquire::https::Timeout": "15",
    "Acquire::Retries": "1",
  };
  // What the machine does after its own updates, as emptying its cache, isn't to happen after ours.
  const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"];
  await writeFile(join(folder, "apt.conf"), hooks.map((hook) => `#clear APT::Update::${hook};\n`).join(""));
  const overrides = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const flags = ["-c", join(folder, "apt.conf"), ...overrides];
  const settings = { cwd: folder, env: { ...env, LC_ALL: "C" }, timeout: 180_000 };
  await run(apt, [...flags, "update"], settings);
  await run(apt, [...flags, "download", wanted.package], settings);
  const deb = (await readdir(folder)).find((file) => file.endsWith(".deb"));
  if (!deb) throw new Error(`apt-get downloaded no ${wanted.package}`);
  await run(dpkg, ["-x", join(folder, deb), join(folder, "tree")], settings);
  for (const program of wanted.program) {
    const path = join(folder, "tree", program);
    if (await exists(path)) return path;
  }
  throw new Error(`the package ${wanted.package} holds no ${wanted.program.join(" or ")}`);
}

async function tools(env: NodeJS.ProcessEnv): Promise<{ apt: string; dpkg: string }> {
  const [apt, dpkg] = [await onPath("apt-get", env), await onPath("dpkg", env)];
  if (!apt || !dpkg) throw new Error("this system has no apt-get");
  return { apt, dpkg };
}

async function readSystem(): Promise<System> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]+)"?$`, "m").exec(release)?.[1] ?? "";
  const system = { id: field("ID"), codename: field("VERSION_CODENAME"), keyring: keyrings[field("ID")] ?? "" };
  if (!system.keyring || !system.codename) throw new Error(`packages of ${system.id || "this system"} aren't known`);
  if (!(await exists(system.keyring))) throw new Error(`the archive's keys aren't on this machine (${system.keyring})`);
  return system;
}

/** The mirrors this machine uses for its own release already. A wrong one fails by its signature. */
async function mirrors(apt: string, codename: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const format = "$(RELEASE) $(COMPONENT) $(REPO_URI)";
  const { stdout } = await run(apt, ["indextargets", "--format", format, "Created-By: Packages"], { env });
  const rows = stdout.split("\n").map((line) => line.trim().split(" "));
  const own = rows.filter(([release, component]) => release === codename && component === "main");
  return [...new Set(own.flatMap(([, , uri]) => (uri ? [uri] : [])))];
}

/** apt's first line of complaint says more than its exit code. */
function complaint(error: unknown): string {
  const said = String((error as { stderr?: string }).stderr ?? "");
  return said.split("\n").find((line) => /^[EW]:/.test(line)) ?? (error as Error).message.split("\n")[0] ?? "failed";
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
