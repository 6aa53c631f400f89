/**
 * nats-server from its project's own release: one zip per platform and a SHA256SUMS beside it.
 *
 * The sums come from the same place as the zip, so they protect from damage and mix-ups on the way;
 * that it is the project's place at all rests on TLS.
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fromBufferPromise } from "yauzl";
import type { Way } from "./find-program.ts";

export const releaseVersion = "2.14.5";
const releasesUrl = "https://github.com/nats-io/nats-server/releases/download";

export interface ReleaseSource {
  readonly version?: string;
  /** Where `<base>/v<version>/<asset>` is. */
  readonly baseUrl?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** Node's names, as `process.platform` and `process.arch`. */
  readonly platform?: string;
  readonly arch?: string;
  /** For each of the two downloads as a whole. Default two minutes. */
  readonly timeoutMs?: number;
}

/** What arrived isn't what SHA256SUMS names; it was thrown away. */
export class ChecksumMismatch extends Error {
  override readonly name = "ChecksumMismatch";
}

export function release(source: ReleaseSource = {}): Way {
  const version = source.version ?? releaseVersion;
  return {
    name: `the official release ${version}`,
    async fetch(bench, tell) {
      const platform = releasePlatform(source.platform ?? process.platform, source.arch ?? process.arch);
      const folder = `nats-server-v${version}-${platform}`;
      const base = `${source.baseUrl ?? releasesUrl}/v${version}`;
      const sums = (await download(source, `${base}/SHA256SUMS`)).toString("utf8");
      const wanted = sumOf(sums, `${folder}.zip`);
      tell(`downloading ${base}/${folder}.zip`);
      const zip = await download(source, `${base}/${folder}.zip`);
      const got = createHash("sha256").update(zip).digest("hex");
      if (got !== wanted) {
        throw new ChecksumMismatch(`${folder}.zip was refused: its SHA-256 is ${got}, SHA256SUMS says ${wanted}`);
      }
      const program = join(bench, "nats-server");
      await writeFile(program, await fileInZip(zip, `${folder}/nats-server`), { mode: 0o755 });
      return program;
    },
  };
}

/** The release's name for a platform, by the project's build configuration. */
function releasePlatform(platform: string, arch: string): string {
  const name = { x64: "amd64", arm64: "arm64", arm: "arm7", ia32: "386" }[arch];
  if (!name || !["linux", "darwin"].includes(platform)) throw new Error(`there is none for ${platform} on ${arch}`);
  return `${platform}-${name}`;
}

/** Lines of `sha256sum`: 64 hexadecimal digits, blank, blank or asterisk, file name. */
function sumOf(sums: string, file: string): string {
  for (const line of sums.split("\n")) {
    const [, sum, name] = /^([0-9a-f]{64}) [ *](.+)$/i.exec(line.trim()) ?? [];
    if (sum && name === file) return sum.toLowerCase();
  }
  throw new Error(`SHA256SUMS doesn't name ${file}`);
}

async function download({ fetch = globalThis.fetch, timeoutMs = 120_000 }: ReleaseSource, url: string) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

async function fileInZip(zip: Buffer, path: string): Promise<Buffer> {
  const archive = await fromBufferPromise(zip);
  for await (const entry of archive.eachEntry()) {
    if (entry.fileName === path) return buffer(await archive.openReadStreamPromise(entry));
  }
  throw new Error(`the archive holds no ${path}`);
}
