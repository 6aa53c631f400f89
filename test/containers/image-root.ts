/**
 * The root folder of an image made from programs of this machine, because a test may have no registry to pull a base
 * from: each program with the libraries it is linked to, at the same places.
 */
import { execFile } from "node:child_process";
import { cp, lstat, mkdir, readlink, realpath, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Copies programs, by path or by name on PATH, into `root`; resolves with the paths they have there. */
export async function copyPrograms(root: string, programs: readonly string[]): Promise<readonly string[]> {
  await copyTopLinks(root);
  const paths = await Promise.all(programs.map(located));
  const needed = new Set(paths);
  for (const path of paths) for (const library of await librariesOf(path)) needed.add(library);
  for (const path of needed) {
    const place = join(root, await realpath(dirname(path)), basename(path));
    await mkdir(dirname(place), { recursive: true });
    await cp(await realpath(path), place);
  }
  return paths;
}

/** Where /bin and /lib are links into /usr, they are in the image, and in the sandboxes that see its /usr. */
async function copyTopLinks(root: string): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    const isLink = await lstat(join("/", name)).then(
      (status) => status.isSymbolicLink(),
      () => false,
    );
    if (isLink) await symlink(await readlink(join("/", name)), join(root, name));
  }
}

async function located(program: string): Promise<string> {
  const { stdout } = await run("sh", ["-c", 'command -v "$1"', "sh", program]);
  return stdout.trim();
}

/** Absolute paths, the loader among them; none for a static program. */
async function librariesOf(path: string): Promise<string[]> {
  const { stdout } = await run("ldd", [path]).catch(() => ({ stdout: "" }));
  return stdout.split("\n").flatMap((line) => /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}
