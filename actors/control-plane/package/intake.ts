/**
 * Takes a package in: where it comes from, whether it is what it says, and into the store under its SHA-256, so that a
 * record never names a package that isn't there. Source: Lambda API reference and recorded answers of Lambda
 */
import { createHash } from "node:crypto";
import { Refused } from "../../../subjects/errors.ts";
import type { CodeStore } from "../../bus/storage.ts";
import type { CodeSource, Package } from "../commands.ts";
import { NO_SUCH_KEY } from "../validation/settings.ts";
import { BadPackage, listed } from "./zip.ts";

/** Resolves with the number of bytes it unpacks to. Throws `BadPackage`. */
type Look = (zip: Uint8Array) => Promise<number>;

const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;

/** `look` says how closely it is looked at: by its table of contents, or whole. Throws `Refused` when it won't do. */
export async function takeIn(code: CodeStore, source: CodeSource, look: Look = listed): Promise<Package> {
  const zip = "zipBase64" in source ? decoded(source.zipBase64) : await stored(code, source.sha256);
  const hash = createHash("sha256").update(zip).digest();
  const sha256 = hash.toString("hex");
  if ("sha256" in source && source.sha256 !== sha256)
    throw new Refused(
      "InvalidParameterValueException",
      `The package stored as ${source.sha256} is not what its name says: its SHA-256 is ${sha256}.`,
    );
  const unzippedBytes = await look(zip).catch((error: unknown) => {
    if (error instanceof BadPackage) throw new Refused("InvalidParameterValueException", error.message);
    throw error;
  });
  if ("zipBase64" in source) await code.put(sha256, zip);
  return { codeSha256: hash.toString("base64"), codeSize: zip.length, unzippedBytes };
}

function decoded(zipBase64: string): Uint8Array {
  if (!BASE64.test(zipBase64))
    throw new Refused(
      "InvalidRequestContentException",
      "Could not parse request body into json: ZipFile must be base64",
    );
  const zip = Buffer.from(zipBase64, "base64");
  if (zip.length === 0) throw new Refused("InvalidParameterValueException", "Uploaded file must be a non-empty zip");
  return zip;
}

async function stored(code: CodeStore, sha256: string): Promise<Uint8Array> {
  const zip = await code.get(sha256);
  if (zip === undefined) throw new Refused("InvalidParameterValueException", NO_SUCH_KEY);
  return zip;
}
