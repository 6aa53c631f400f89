/**
 * The passwords of the embedded server: made once per home, kept across starts, in a file that only
 * this user can read. Plain, not hashed: the CLI context beside it needs them plain anyway, and a
 * bcrypt check costs every connection tens of milliseconds.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "./home.ts";
import { writePrivately } from "./private-file.ts";

export interface Credential {
  readonly user: string;
  /** 32 random bytes in hexadecimal: safe in a URL and on a command line. */
  readonly password: string;
}

export interface Credentials {
  /** Mayfly's components. */
  readonly platform: Credential;
  /** People and the `nats` CLI. */
  readonly mayfly: Credential;
}

/** The home's credentials, made now if there are none. A damaged file is replaced: nothing else depends on it. */
export async function credentialsOf(home: Home): Promise<Credentials> {
  const file = join(home.nats, "credentials.json");
  const kept = parse(await readFile(file, "utf8").catch(() => ""));
  if (kept) return kept;
  const made: Credentials = {
    platform: { user: "platform", password: randomBytes(32).toString("hex") },
    mayfly: { user: "mayfly", password: randomBytes(32).toString("hex") },
  };
  await writePrivately(file, `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

function parse(text: string): Credentials | undefined {
  try {
    const { platform, mayfly } = JSON.parse(text) as Partial<Credentials>;
    return isCredential(platform) && isCredential(mayfly) ? { platform, mayfly } : undefined;
  } catch {
    return undefined;
  }
}

function isCredential(value: Credential | undefined): value is Credential {
  return typeof value?.user === "string" && typeof value.password === "string" && value.password.length >= 32;
}
