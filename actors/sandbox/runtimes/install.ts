/** Fetches runtimes that don't come with Mayfly: Node.js versions, as npm packages that hold just the binary. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installedFolder, type ResolvedRuntime, resolveRuntime } from "./catalogue.ts";
import { hostArch, nodeMajor, nodePackage, type RuntimeArch } from "./node-interpreter.ts";

/** The installation came to nothing; the message holds what the package manager said. */
export class RuntimeInstallFailed extends Error {
  override readonly name = "RuntimeInstallFailed";
}

interface InstallOptions {
  readonly home: string;
  readonly arch?: RuntimeArch;
  /** Hears each line the package manager says. */
  readonly onProgress?: (line: string) => void;
}

const underWay = new Map<string, Promise<ResolvedRuntime>>();

/**
 * Makes sure that a Node.js runtime is there. Runs once for all who ask at the same time, and puts the finished folder in
 * place in one step, so that others never see half of it.
 * Throws `RuntimeInstallFailed`, or `RuntimeNotInstalled` for what can't be installed this way.
 */
export async function installRuntime(runtime: string, options: InstallOptions): Promise<ResolvedRuntime> {
  const folder = installedFolder(options.home, runtime);
  const present = await resolveRuntime(runtime, options).catch(() => null);
  if (present || nodeMajor(runtime) === null) return present ?? resolveRuntime(runtime, options);
  const running = underWay.get(folder) ?? install(runtime, folder, options).finally(() => underWay.delete(folder));
  underWay.set(folder, running);
  return running;
}

async function install(runtime: string, folder: string, options: InstallOptions): Promise<ResolvedRuntime> {
  const arch = options.arch ?? hostArch;
  await mkdir(join(options.home, "runtimes"), { recursive: true });
  const draft = await mkdtemp(join(options.home, "runtimes", ".installing-"));
  try {
    await writeFile(join(draft, "package.json"), JSON.stringify({ private: true }));
    const platform = [
      "--os=linux",
      `--cpu=${arch}`,
      "--ignore-scripts",
      "--no-package-lock",
      "--no-audit",
      "--no-fund",
    ];
    const wanted = `${nodePackage(arch)}@${nodeMajor(runtime)}`;
    await npm(["install", "--prefix", draft, ...platform, wanted], options.onProgress);
    await rename(draft, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another process was quicker. What it installed is as good; a broken rest of an old one gives way.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      if (await resolveRuntime(runtime, options).catch(() => null)) return;
      await rm(folder, { recursive: true, force: true });
      await rename(draft, folder);
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return resolveRuntime(runtime, options);
}

function npm(args: string[], onProgress: ((line: string) => void) | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", args, { stdio: ["ignore", "pipe", "pipe"] });
    const said: string[] = [];
    const hear = (text: string) => {
      for (const line of text.split("\n").filter((part) => part.trim() !== "")) {
        said.push(line);
        onProgress?.(line);
      }
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    child.once("error", (error) => reject(new RuntimeInstallFailed(`npm can't be started: ${error.message}`)));
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new RuntimeInstallFailed(`npm ended with ${code}: ${said.slice(-5).join(" ")}`));
    });
  });
}
