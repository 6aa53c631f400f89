/**
 * The /etc of every sandbox: made, not the host's, so that it names no user, network or secret of the host.
 *
 * Of the host's come only things that describe the /usr it can see anyway: public certificates, the loader's cache and
 * the links by which a distribution chooses among its own programs.
 */
import { chmodSync, copyFileSync, lstatSync, renameSync } from "node:fs";
import { chmod, lstat, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The user and group a function believes to be; on the host it is another one, or nobody. */
export const SANDBOX_ID = 1000;
export const HOSTNAME = "sandbox";

const texts: Record<string, string> = {
  passwd: `root:x:0:0:root:/:/sbin/nologin\nsandbox:x:${SANDBOX_ID}:${SANDBOX_ID}:sandbox:/tmp:/bin/sh\n`,
  group: `root:x:0:\nsandbox:x:${SANDBOX_ID}:\n`,
  hosts: `127.0.0.1 localhost localhost.localdomain ${HOSTNAME} ${HOSTNAME}.localdomain\n::1 localhost\n`,
  hostname: `${HOSTNAME}\n`,
  // No network, so no name server: look-ups fail at once instead of waiting for one.
  "resolv.conf": "",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "host.conf": "multi on\n",
  timezone: "Etc/UTC\n",
  "os-release": 'ID=mayfly\nNAME="Mayfly sandbox"\nPRETTY_NAME="Mayfly sandbox"\n',
};

/** Folders of the host's /etc that are shown, where they exist. No private keys: those lie beside, never in, these. */
const foldersFromHost = [
  "ssl/certs",
  "pki/tls/certs",
  "pki/ca-trust/extracted",
  "ca-certificates/extracted",
  "alternatives",
];
/** Files are copied, because showing one costs every start a mount. */
const filesFromHost = ["ssl/openssl.cnf", "ld.so.cache"];

export interface Etc {
  /** The host's folders to show in it, as absolute paths. */
  readonly fromHost: readonly string[];
  /**
   * Copies what the host has changed since. Some microseconds where it hasn't; to be called before a sandbox is made. What
   * can't be copied stays as it was.
   */
  renew(): void;
}

/** Writes the folder; `host` is the host's own. */
export async function makeEtc(folder: string, host = "/etc"): Promise<Etc> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  for (const [name, text] of Object.entries(texts)) {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o644);
  }
  await symlink("/usr/share/zoneinfo/UTC", join(folder, "localtime"));
  const fromHost: string[] = [];
  for (const name of foldersFromHost) {
    const found = await lstat(join(host, name)).catch(() => undefined);
    if (!found?.isDirectory()) continue;
    // What is bound needs something to be bound over, which can't be made once the folder is seen read-only.
    await mkdir(join(folder, name), { recursive: true });
    fromHost.push(join(host, name));
  }
  for (const name of filesFromHost) await mkdir(dirname(join(folder, name)), { recursive: true });
  const copies = filesFromHost.map((name) => new Copied(join(host, name), join(folder, name)));
  const renew = () => {
    for (const each of copies) each.renew();
  };
  renew();
  return { fromHost, renew };
}

class Copied {
  readonly #from: string;
  readonly #to: string;
  #version = "";

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
  }

  /** Never half of it: it takes the old one's place whole. What not everybody may read on the host isn't shown. */
  renew(): void {
    const found = lstatSync(this.#from, { throwIfNoEntry: false });
    if (!found?.isFile() || (found.mode & 0o004) === 0) return;
    const version = `${found.dev} ${found.ino} ${found.mtimeMs} ${found.size}`;
    if (version === this.#version) return;
    try {
      const draft = `${this.#to}.draft`;
      copyFileSync(this.#from, draft);
      chmodSync(draft, 0o644);
      renameSync(draft, this.#to);
      this.#version = version;
    } catch {
      // Full or gone: what was copied before does as well.
    }
  }
}
