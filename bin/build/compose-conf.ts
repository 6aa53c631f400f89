/**
 * Writes `config/nats/compose.conf`, the NATS server's configuration for docker-compose.yml: the embedded server's,
 * with the passwords left to the environment. Run it after a change to what it is made of; a test tells when.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serverConf } from "../../config/nats/server-conf.ts";
import { packageRoot } from "../package-root.ts";
import { embeddedStamp, platformProperty } from "../up/property.ts";

export const composeConfFile: string = join(packageRoot, "config", "nats", "compose.conf");

/** Read by the server itself, which wants the values in quotes: bare ones may be taken for numbers. */
const passwords = ["MAYFLY_PLATFORM_PASSWORD", "MAYFLY_PERSON_PASSWORD"] as const;

const header = `# Made by bin/build/compose-conf.ts: changes made here are lost.
# The passwords come from the server's environment.
`;

export function composeConf(): string {
  const [platform, person] = passwords;
  const text = serverConf({
    serverName: "mayfly",
    serverVersion: "2.14.0",
    host: "0.0.0.0",
    port: 4222,
    storeDir: "/data",
    platform: { user: "platform", password: `$${platform}` },
    people: { user: "mayfly", password: `$${person}` },
    property: platformProperty,
    stamp: embeddedStamp,
    // For the health check, from inside the container alone.
    monitor: { host: "127.0.0.1", port: 8222 },
  });
  const open = passwords.reduce((conf, name) => conf.replace(`"$${name}"`, `$${name}`), text);
  return open.replace(/^#.*\n/, header);
}

if (import.meta.main) await writeFile(composeConfFile, composeConf());
