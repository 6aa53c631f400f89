/** The image of Mayfly's own Dockerfile, on a base made from programs of this machine: no registry is needed. */
import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../bin/package-root.ts";
import { buildImage } from "./engine.ts";
import { copyPrograms } from "./image-root.ts";
import type { LocalImage } from "./nats-image.ts";

/** What the Dockerfile's steps, the sandbox driver and a shell that looks around need. */
const programs = [
  "sh",
  "env",
  "cat",
  "ls",
  "mkdir",
  "chmod",
  "chown",
  "mount",
  "umount",
  "unshare",
  "setpriv",
  "bwrap",
];
const sources = ["package.json", "package-lock.json", ".npmrc", "actors", "bin", "config", "examples", "subjects"];

const baseDockerfile = `FROM scratch
COPY . /
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN mkdir -p /tmp /etc && chmod 1777 /tmp && echo 'root:x:0:0::/:/bin/sh' > /etc/passwd && echo 'root:x:0:' > /etc/group
`;

export async function buildMayflyImage(): Promise<LocalImage> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-image-"));
  const id = randomBytes(4).toString("hex");
  const [baseName, name] = [`mayfly-test-base:${id}`, `mayfly-test:${id}`];
  try {
    const [baseFolder, context] = [join(folder, "base"), join(folder, "context")];
    await mkdir(baseFolder);
    // The Node.js that runs this test; the libraries it is linked to are needed at any rate.
    await copyPrograms(baseFolder, [...programs, process.execPath]);
    await mkdir(join(baseFolder, "usr/local/bin"), { recursive: true });
    await symlink(process.execPath, join(baseFolder, "usr/local/bin/node"));
    await writeFile(join(baseFolder, "Dockerfile"), baseDockerfile);
    await using _base = await buildImage(baseName, baseFolder);

    for (const source of sources) await cp(join(packageRoot, source), join(context, source), { recursive: true });
    for (const place of await installedForUse()) {
      await cp(join(packageRoot, place), join(context, place), { recursive: true });
    }
    await cp(join(packageRoot, "Dockerfile"), join(context, "Dockerfile"));
    const built = await buildImage(name, context, { BASE: baseName, INSTALL: "true" });
    return { name, [Symbol.asyncDispose]: () => built[Symbol.asyncDispose]() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The folders below node_modules that `npm ci --omit=dev` would make. */
async function installedForUse(): Promise<string[]> {
  const text = await readFile(join(packageRoot, "node_modules/.package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as { packages: Record<string, { readonly dev?: boolean }> };
  return Object.entries(packages).flatMap(([place, { dev }]) => (dev ? [] : [place]));
}
