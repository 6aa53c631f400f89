/** `mayfly layer`: what functions find at /opt: libraries, programs and extensions that many share. */
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { CODE_BUCKET } from "../../subjects/streams.ts";
import { callApi, listAll } from "../api.ts";
import { findLayer, LayerVersion, layerNamed, layerText, layerVersions } from "../layers.ts";
import type { PackageFiles } from "../package/contents.ts";
import { nameFrom } from "../package/plan.ts";
import { readPackage } from "../package/read.ts";
import { bytesText, fields, Progress, remark, say, sayJson, table } from "../print.ts";
import { openSession, type Session } from "../session.ts";
import { upload } from "../upload.ts";

interface Publishing {
  readonly name?: string;
  readonly description?: string;
  readonly license?: string;
  readonly runtime: readonly string[];
  readonly arch: readonly string[];
  readonly json?: true;
}

const HELP = `
The content appears at /opt, below the layers that are named after it. Looked into there: nodejs/node_modules,
nodejs/node24/node_modules, python, python/lib/python3.x/site-packages, bin (PATH), lib (LD_LIBRARY_PATH), extensions.

Examples:
  mayfly layer publish ./deps --runtime nodejs24.x      a folder that holds nodejs/node_modules
  mayfly deploy ./hello --layer deps --layer tools:3    the newest version, or one; later layers win`;

const Layer = z.object({ LayerName: z.string(), LayerArn: z.string(), LatestMatchingVersion: LayerVersion }).loose();
const LOOKED_INTO = ["nodejs", "python", "bin", "lib", "extensions", "bootstrap"];

export const layer = (program: Command): void => {
  const group = program.command("layer").alias("layers").description("publish and list what functions share at /opt");
  group
    .command("publish")
    .argument("<path>", "a folder or a zip")
    .description("make a new version of a layer")
    .option("-n, --name <name>", "default: the folder's")
    .option("--description <text>")
    .option("--license <text>", "such as MIT")
    .option("-r, --runtime <runtime>", "one it is for, may be repeated; told to people, not enforced", each, [])
    .option("--arch <architecture>", "x86_64 or arm64, may be repeated; told to people, not enforced", each, [])
    .option("--json", "the version as JSON")
    .addHelpText("after", HELP)
    .action(publish);
  group
    .command("ls")
    .alias("list")
    .argument("[layer]", "its versions")
    .description("all layers, or the versions of one")
    .option("--json", "as JSON, in the Lambda API's words")
    .action(list);
  group
    .command("show")
    .argument("<layer>", "its name, or name:version")
    .description("everything about a version, the newest if none is named")
    .option("--json", "as JSON, in the Lambda API's words")
    .action(show);
  group
    .command("rm")
    .argument("<layers...>", "name:version, or a name for all its versions")
    .description("delete versions; functions that have them keep them")
    .option("--json", "what was deleted, as JSON")
    .action(rm);
};

async function publish(path: string, { name, description, license, runtime, arch, json }: Publishing): Promise<void> {
  const { files, zip } = await readPackage(path);
  const LayerName = name ?? nameFrom(basename(resolve(path)));
  // Only the owner of the home may write in the object store.
  await using session = await openSession("platform");
  const progress = new Progress();
  try {
    progress.step(`packing ${files.size} ${files.size === 1 ? "file" : "files"}…`);
    const bytes = await zip((packed) => progress.detail(`packing: ${bytesText(packed)}`));
    progress.step(`uploading ${bytesText(bytes.length)}…`);
    const { sha256 } = await upload(session, bytes);
    const body = {
      LayerName,
      Content: { S3Bucket: CODE_BUCKET, S3Key: sha256 },
      ...(description === undefined ? {} : { Description: description }),
      ...(license === undefined ? {} : { LicenseInfo: license }),
      ...(runtime.length === 0 ? {} : { CompatibleRuntimes: runtime }),
      ...(arch.length === 0 ? {} : { CompatibleArchitectures: arch }),
    };
    const published = LayerVersion.parse(await callApi(session, "PublishLayerVersion", body));
    progress.end();
    if (json) return sayJson(published);
    say(`${layerText(published.LayerVersionArn)} is published: ${bytesText(bytes.length)}`);
    remark(`  mayfly deploy <folder> --layer ${LayerName}`);
    if (!isLookedInto(files)) remark("  nothing in it lies where runtimes look: mayfly layer publish --help");
  } finally {
    progress.end();
  }
}

async function list(name: string | undefined, { json }: { json?: true }): Promise<void> {
  await using session = await openSession();
  if (name === undefined) return await listLayers(session, json);
  const versions = await layerVersions(session, layerNamed(name).name);
  if (json) return sayJson(versions);
  if (versions.length === 0) return remark(`${name} has no versions`);
  say(table(["VERSION", "CREATED (UTC)", "FOR", "DESCRIPTION"], versions.map(row)));
}

async function listLayers(session: Session, json: true | undefined): Promise<void> {
  const layers = await listAll(session, "ListLayers", {}, "Layers", Layer);
  if (json) return sayJson(layers);
  if (layers.length === 0) return remark("no layers yet: mayfly layer publish <folder>");
  const rows = layers.map((each) => [each.LayerName, ...row(each.LatestMatchingVersion)]);
  say(table(["NAME", "NEWEST", "CREATED (UTC)", "FOR", "DESCRIPTION"], rows));
}

async function show(text: string, { json }: { json?: true }): Promise<void> {
  await using session = await openSession();
  const its = await findLayer(session, layerNamed(text));
  if (json) return sayJson(its);
  say(
    fields([
      ["layer", layerText(its.LayerVersionArn)],
      ["description", its.Description === "" ? undefined : its.Description],
      ["code", `${bytesText(its.Content?.CodeSize ?? 0)}, SHA-256 ${its.Content?.CodeSha256}`],
      ["for", madeFor(its) || undefined],
      ["license", its.LicenseInfo],
      ["created", createdText(its)],
      ["ARN", its.LayerVersionArn],
    ]),
  );
}

async function rm(texts: readonly string[], { json }: { json?: true }): Promise<void> {
  const named = texts.map(layerNamed);
  await using session = await openSession();
  const deleted: string[] = [];
  for (const { name, version } of named) {
    // One that isn't there is refused, so that a slip isn't taken for a deed.
    const newest = await findLayer(session, { name, version });
    const numbers =
      version === undefined ? (await layerVersions(session, name)).map((one) => one.Version) : [newest.Version];
    for (const VersionNumber of numbers) {
      await callApi(session, "DeleteLayerVersion", { LayerName: name, VersionNumber });
      deleted.push(`${name}:${VersionNumber}`);
      if (!json) say(`${name}:${VersionNumber} is deleted`);
    }
  }
  if (json) sayJson({ deleted });
}

const row = (its: LayerVersion): string[] => [
  String(its.Version),
  createdText(its),
  madeFor(its),
  its.Description ?? "",
];

const madeFor = ({ CompatibleRuntimes = [], CompatibleArchitectures = [] }: LayerVersion): string =>
  [...CompatibleRuntimes, ...CompatibleArchitectures].join(", ");

const createdText = ({ CreatedDate }: LayerVersion): string => CreatedDate.replace("T", " ").slice(0, 19);

const isLookedInto = (files: PackageFiles): boolean =>
  [...files.keys()].some((name) => LOOKED_INTO.includes(name.split("/")[0] ?? ""));

function each(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
