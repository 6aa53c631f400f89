/**
 * The vocabulary of the control plane: what may be asked of a function, what is found out on the way, what comes of it.
 *
 * A command is plain data, made from one request by its operation's file, already validated in itself. Times and ids come
 * in it, so that deciding needs neither a clock nor randomness. Whether the function's state allows it is `policy.ts`.
 */
import type { Refusal } from "../../subjects/errors.ts";
import type { EventInvokeConfig } from "../../subjects/event-invoke.ts";
import type { FunctionConfiguration, FunctionRecord } from "../../subjects/function.ts";

/** What every command carries. `revisionIds` are fresh uuids: one for `$LATEST`, one for a version or alias. */
interface Envelope {
  readonly acct: string;
  readonly fn: string;
  /** Unqualified. */
  readonly arn: string;
  /** Where the caller waits, if one does. */
  readonly to: string | undefined;
  /** Epoch ms. */
  readonly at: number;
  readonly revisionIds: { readonly latest: string; readonly other: string };
}

/** A package as the caller hands it over: its bytes in base64, or the name of one already stored. */
export type CodeSource = { readonly zipBase64: string } | { readonly sha256: string };

/** The package as it was found: base64 SHA-256 and size of the zip in bytes, and what it unpacks to. */
export interface Package {
  readonly codeSha256: string;
  readonly codeSize: number;
  readonly unzippedBytes: number;
}

/** A layer version that exists, as a function's configuration keeps it. */
export interface FoundLayer {
  readonly arn: string;
  readonly codeSize: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly unzippedBytes: number;
}

/** The settings a caller may choose; absent means "as it was", or the default on creation. */
export type Settings = {
  readonly [K in
    | "Runtime"
    | "Role"
    | "Handler"
    | "Description"
    | "Timeout"
    | "MemorySize"
    | "Environment"
    | "TracingConfig"
    | "DeadLetterConfig"
    | "EphemeralStorage"]?: NonNullable<FunctionConfiguration[K]>;
} & {
  readonly LoggingConfig?: Partial<FunctionConfiguration["LoggingConfig"]>;
  /** ARNs of layer versions, in the order they are unpacked; none takes all of them away. */
  readonly Layers?: readonly string[];
};

export type Architecture = FunctionConfiguration["Architectures"][number];

/** What is said of how events are handled; a side that is there and empty takes its destination away. */
export type EventInvokeChange = Partial<
  Pick<EventInvokeConfig, "MaximumRetryAttempts" | "MaximumEventAgeInSeconds"> & EventInvokeConfig["DestinationConfig"]
>;

/** `destinations` are the ARNs in the change: they must lead somewhere. */
interface EventInvokeAsked {
  readonly qualifier: string;
  readonly change: EventInvokeChange;
  readonly destinations: readonly string[];
}

interface Asked {
  "function.create": {
    settings: Settings & Required<Pick<Settings, "Runtime" | "Role" | "Handler">>;
    architecture: Architecture;
    code: CodeSource;
    tags: Record<string, string>;
    publish: boolean;
  };
  "function.update-code": {
    code: CodeSource;
    architecture: Architecture | undefined;
    publish: boolean;
    dryRun: boolean;
    revisionId: string | undefined;
  };
  "function.update-configuration": { settings: Settings; revisionId: string | undefined };
  "function.publish": {
    description: string | undefined;
    codeSha256: string | undefined;
    revisionId: string | undefined;
  };
  "function.delete": Record<never, never>;
  /** Nobody asks: a look at the record, so that work left over from an earlier life is taken up. */
  "function.resume": Record<never, never>;
  "version.delete": { version: string };
  "alias.create": { alias: string; version: string; description: string };
  "alias.update": {
    alias: string;
    version: string | undefined;
    description: string | undefined;
    revisionId: string | undefined;
  };
  "alias.delete": { alias: string };
  "concurrency.put": { reserved: number };
  "concurrency.delete": Record<never, never>;
  "event-invoke.put": EventInvokeAsked;
  "event-invoke.update": EventInvokeAsked;
  "event-invoke.delete": { qualifier: string };
  /** Of concurrency, 0 means the default. */
  "queue.put": { concurrency: number | undefined; paused: boolean | undefined };
  /** Destinations, each well-formed. */
  "egress.put": { allow: readonly string[] };
  "tags.add": { tags: Record<string, string> };
  "tags.remove": { keys: readonly string[] };
  /** Facts: what came of looking at the package of the revision named. */
  "package.verified": { revisionId: string };
  "package.refused": { revisionId: string; code: string; reason: string };
}

export type CommandType = keyof Asked;
export type Command<T extends CommandType = CommandType> = { [K in T]: Envelope & { readonly type: K } & Asked[K] }[T];

/** A command as its operation's file reads it from a request; the rest of the envelope is put around it on arrival. */
export type Wish<T extends CommandType = CommandType> = {
  [K in T]: { readonly type: K; readonly fn: string } & Asked[K];
}[T];

/** What was found in the world for this one command, before deciding. */
export interface Findings {
  /** Of the code the command brings. */
  readonly package?: Package;
  /** Of the layers it names, in their order. */
  readonly layers?: readonly FoundLayer[];
  /** The account's concurrency: its limit, what other functions have reserved, and what must stay unreserved. */
  readonly concurrency?: { readonly limit: number; readonly reservedElsewhere: number; readonly floor: number };
}

/** A version's own entry: made once, under a number nobody had, or replaced when its state changes. */
export interface VersionWrite {
  readonly configuration: FunctionConfiguration;
  readonly how: "create" | "replace";
}

/** What a command comes to, given the record as it is. */
export type Decision =
  | { readonly kind: "refuse"; readonly refusal: Refusal }
  | { readonly kind: "answer"; readonly body: object }
  | {
      readonly kind: "write";
      readonly record: FunctionRecord;
      readonly body: object;
      readonly version?: VersionWrite;
      readonly dropVersion?: string;
    };

/** What became of a command: the decision, and the record as it is kept now. `lost`: the bucket couldn't be asked. */
export type Outcome =
  | { readonly kind: "lost"; readonly refusal: Refusal }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly record: FunctionRecord | undefined }
  | { readonly kind: "answered"; readonly body: object; readonly record: FunctionRecord | undefined }
  | { readonly kind: "written"; readonly body: object; readonly record: FunctionRecord };

/** The life of a function. It is read from its record, never kept beside it. */
export type LifeState = "absent" | "pending" | "active" | "updating" | "failed" | "deleting";

export function lifeOf(record: FunctionRecord | undefined): LifeState {
  if (record === undefined) return "absent";
  if (record.deletingAt !== undefined) return "deleting";
  if (record.configuration.LastUpdateStatus === "InProgress") return "updating";
  if (record.configuration.State === "Pending") return "pending";
  return record.configuration.State === "Failed" ? "failed" : "active";
}

/** The command nobody asked for, see `function.resume`. */
export const resumption = (acct: string, fn: string): Command<"function.resume"> => ({
  type: "function.resume",
  acct,
  fn,
  arn: "",
  to: undefined,
  at: 0,
  revisionIds: { latest: "", other: "" },
});
