/** Deploying: from a folder or a zip to a function that can be invoked. What `mayfly deploy` does, without its words. */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Refused } from "../subjects/errors.ts";
import { CODE_BUCKET } from "../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../subjects/tokens.ts";
import { Configuration as Answer, type Configuration, callApi, findFunction } from "./api.ts";
import { differsFrom, egressFrom, getEgress, putEgress } from "./egress-setting.ts";
import { layerArns } from "./layers.ts";
import { defaultRuntimes, ensureRuntime } from "./local-runtime.ts";
import { detect } from "./package/detect.ts";
import { type Manifest, parseManifest } from "./package/manifest.ts";
import { differs, nameFrom, type Plan, plan, type Settings } from "./package/plan.ts";
import { type ReadPackage, readPackage } from "./package/read.ts";
import { bytesText, type Progress } from "./print.ts";
import type { Session } from "./session.ts";
import { settled } from "./settled.ts";
import { upload } from "./upload.ts";

export interface DeployOptions extends Settings {
  /** Default: what mayfly.json says, else made from the folder's name. */
  readonly name?: string;
  readonly env: Readonly<Record<string, string>>;
  /** What of the network it may reach. Default: what mayfly.json says, else as it was. */
  readonly egress?: readonly string[];
  /** `name` or `name:version`; none given: what mayfly.json says, else as it was. */
  readonly layer?: readonly string[];
  /** How long the platform may take to apply each change. */
  readonly withinMs: number;
}

export interface Deployed {
  readonly configuration: Configuration;
  readonly how: "created" | "updated" | "unchanged";
}

interface Code extends ReadPackage {
  readonly manifest: Manifest;
}

/** Lambda requires a role; who may invoke is NATS's matter here, so any will do. */
const ROLE = `arn:aws:iam::${DEFAULT_ACCOUNT}:role/mayfly`;

/**
 * Resolves when the function is as wished and can be invoked; what is so already is left alone. The session must be
 * allowed to store code: on this host, the platform's. Throws `Misused`, `PackageUnfit`, `Refused`, `StillPending`,
 * `RuntimeNotInstalled`.
 */
export async function deployFrom(
  session: Session,
  path: string,
  options: DeployOptions,
  progress: Progress,
): Promise<Deployed> {
  const code = await readCode(path);
  const name = options.name ?? code.manifest.name ?? nameFrom(basename(resolve(path)));
  const egress = options.egress ?? (code.manifest.egress === undefined ? undefined : egressFrom(code.manifest.egress));
  const present = await findFunction(session, name);
  if (present === undefined && egress !== undefined) await refuseForbidden(session, name, egress);
  const layers = options.layer?.length ? options.layer : code.manifest.layers;
  const wanted = plan({
    flags: options,
    manifest: code.manifest,
    present,
    detected: await detect(code.files),
    files: code.files,
    defaultRuntime: await defaultRuntimes(session.home),
    layers: layers === undefined ? undefined : await layerArns(session, layers),
  });
  if (session.local !== undefined) await ensureRuntime(session.home, wanted.Runtime, (line) => progress.step(line));
  progress.step(`packing ${code.files.size} ${code.files.size === 1 ? "file" : "files"}…`);
  const zip = await code.zip((bytes) => progress.detail(`packing: ${bytesText(bytes)}`));
  progress.step(`uploading ${bytesText(zip.length)}…`);
  const { sha256 } = await upload(session, zip, (bytes) =>
    progress.detail(`uploading: ${bytesText(bytes)} of ${bytesText(zip.length)}`),
  );
  progress.step(present === undefined ? `creating ${name}…` : `updating ${name}…`);
  const configuration = await apply(session, { name, sha256, wanted, present, withinMs: options.withinMs });
  const egressDiffers = egress !== undefined && differsFrom(await getEgress(session, name), egress);
  if (egressDiffers) await putEgress(session, name, egress);
  if (present === undefined) return { configuration, how: "created" };
  return {
    configuration,
    how: egressDiffers || configuration.RevisionId !== present.RevisionId ? "updated" : "unchanged",
  };
}

/** Before anything is made: a destination is judged before its function is looked for, which isn't there yet. */
async function refuseForbidden(session: Session, name: string, egress: readonly string[]): Promise<void> {
  await putEgress(session, name, egress).catch((error: unknown) => {
    if (error instanceof Refused && error.refusal.name === "ResourceNotFoundException") return;
    throw error;
  });
}

async function readCode(path: string): Promise<Code> {
  const found = await readPackage(path);
  const file = join(path, "mayfly.json");
  const text = found.isFolder ? await readFile(file, "utf8").catch(() => undefined) : undefined;
  return { ...found, manifest: text === undefined ? {} : parseManifest(text, file) };
}

interface Deployment {
  readonly name: string;
  readonly sha256: string;
  readonly wanted: Plan;
  readonly present: Configuration | undefined;
  readonly withinMs: number;
}

/** Leaves alone what is as it should be already. */
async function apply(
  session: Session,
  { name, sha256, wanted, present, withinMs }: Deployment,
): Promise<Configuration> {
  const inBucket = { S3Bucket: CODE_BUCKET, S3Key: sha256 };
  const call = async (operation: string, body: object) =>
    settled(session, Answer.parse(await callApi(session, operation, { FunctionName: name, ...body })), withinMs);
  if (present === undefined) return call("CreateFunction", { Role: ROLE, ...wanted, Code: inBucket });
  // One that failed is mended by new code.
  let now = await settled(session, present, withinMs).catch((error: unknown) => {
    if (error instanceof Refused) return present;
    throw error;
  });
  const codeDiffers = now.CodeSha256 !== Buffer.from(sha256, "hex").toString("base64") || now.State === "Failed";
  if (codeDiffers) now = await call("UpdateFunctionCode", inBucket);
  if (differs(now, wanted)) now = await call("UpdateFunctionConfiguration", wanted);
  return now;
}
