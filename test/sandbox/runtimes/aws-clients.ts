/**
 * AWS's own runtime clients, fetched once into a cache outside of this repository. Each gives either what to start, or
 * the reason why it can't be had here.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export type AwsClient = { readonly command: string } | { readonly missing: string };

/** A shell line that starts Node's client; its native part is compiled here, which takes a minute. */
export function nodeClient(): Promise<AwsClient> {
  const entry = "node_modules/aws-lambda-ric/index.mjs";
  return fetched("aws-lambda-ric-4", entry, async (folder) => {
    const manifest = { private: true, allowScripts: { "aws-lambda-ric": true } };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    const options = ["--no-audit", "--no-fund", "--no-package-lock", "--foreground-scripts"];
    await run("npm", ["install", "--prefix", folder, ...options, "aws-lambda-ric@4"], { env: withThisNode() });
    await access(join(folder, "node_modules/aws-lambda-ric/rapid-client.node"));
  }).then((found) =>
    "folder" in found ? { command: `exec '${process.execPath}' '${join(found.folder, entry)}' "$_HANDLER"` } : found,
  );
}

/** A shell line that starts Python's client with the interpreter it was compiled for. */
export async function pythonClient(): Promise<AwsClient> {
  const found = await fetched("awslambdaric-4", "python", async (folder) => {
    const { stdout } = await run("python3", ["-c", "import sys; print(sys.executable)"]);
    await run("python3", ["-m", "pip", "install", "--quiet", "--target", folder, "awslambdaric>=4,<5"]);
    await writeFile(join(folder, "python"), `#!/bin/sh\nexec '${stdout.trim()}' "$@"\n`, { mode: 0o755 });
  });
  if (!("folder" in found)) return found;
  const { folder } = found;
  return { command: `PYTHONPATH='${folder}' exec '${join(folder, "python")}' -m awslambdaric "$_HANDLER"` };
}

/** A function of the conformance suite with Go's client in it, as one program: its sources are a fixture, pinned by sums. */
export async function goFunction(): Promise<AwsClient> {
  const sources = join(import.meta.dirname, "../../fixtures/go-function");
  const digest = createHash("sha256");
  for (const name of ["main.go", "go.mod", "go.sum"]) digest.update(await readFile(join(sources, name)));
  const found = await fetched(`aws-lambda-go-${digest.digest("hex").slice(0, 12)}`, "function", async (folder) => {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/go/bin`, CGO_ENABLED: "0", GOFLAGS: "" };
    const options = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", join(folder, "function"), "."];
    await run("go", ["build", ...options], { cwd: sources, env });
  });
  return "folder" in found ? { command: `exec '${join(found.folder, "function")}'` } : found;
}

/** The folder `name` of the cache, filled by `fill` if `mark` isn't there yet. Half-filled ones never get that name. */
async function fetched(
  name: string,
  mark: string,
  fill: (folder: string) => Promise<void>,
): Promise<{ folder: string } | { missing: string }> {
  const cache = join(tmpdir(), `mayfly-test-cache-${process.getuid?.() ?? 0}`);
  const folder = join(cache, `${name}-node${process.versions.modules}`);
  const exists = () =>
    access(join(folder, mark)).then(
      () => true,
      () => false,
    );
  if (await exists()) return { folder };
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(cache, "filling-"));
  try {
    await fill(draft);
    await rename(draft, folder);
    return { folder };
  } catch (error) {
    if (await exists()) return { folder };
    return { missing: `${name} can't be installed here: ${String(error).slice(0, 400)}` };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function withThisNode(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${join(process.execPath, "..")}:${process.env.PATH ?? ""}` };
}
