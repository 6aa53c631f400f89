/**
 * The /etc of every sandbox: made, not the host's, so that it names no user, network or secret of the host.
 *
 * Of the host's come only things that describe the /usr it can see anyway: public certificates, the loader's cache and
 * the links by which a distribution chooses among its own programs.
 */
import { chmod, lstat, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

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

/** What of the host's /etc is shown, where it exists. No private keys: those lie beside, never in, these. */
const fromHost = [
  "ssl/certs",
  "ssl/openssl.cnf",
  "pki/tls/certs",
  "pki/ca-trust/extracted",
  "ca-certificates/extracted",
  "alternatives",
  "ld.so.cache",
];

/** Writes the folder. Returns the host's files and folders to show in it, as absolute paths. */
export async function makeEtc(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  for (const [name, text] of Object.entries(texts)) {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o644);
  }
  await symlink("/usr/share/zoneinfo/UTC", join(folder, "localtime"));
  const shown: string[] = [];
  for (const name of fromHost) {
    const found = await lstat(join("/etc", name)).catch(() => undefined);
    if (!found || found.isSymbolicLink()) continue;
    // What is bound needs something to be bound over, which can't be made once the folder is seen read-only.
    if (found.isDirectory()) await mkdir(join(folder, name), { recursive: true });
    else await writeFile(join(folder, name), "");
    shown.push(join("/etc", name));
  }
  return shown;
}
