/** A function's code before it is deployed: what lies in a folder or a zip, by name. */
import { CodeUnsafe } from "../../subjects/code-package.ts";

export interface PackageFile {
  /** Relative, with slashes: `src/index.mjs`. */
  readonly name: string;
  readonly executable: boolean;
  readonly bytes: number;
  /** The whole content; only asked of small files that may say what the package is. */
  text(): Promise<string>;
}

export type PackageFiles = ReadonlyMap<string, PackageFile>;

/** This can't be deployed as it is; `remedy` says what would change that. */
export class PackageUnfit extends Error {
  override readonly name = "PackageUnfit";
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.remedy = remedy;
  }
}

export const LEAVE_OUT = "remove it, or name it in .mayflyignore";

/** Does what the rules of packages may forbid; throws `PackageUnfit` then. */
export function byTheRules(act: () => unknown): void {
  try {
    act();
  } catch (cause) {
    if (cause instanceof CodeUnsafe) throw new PackageUnfit(cause.message, LEAVE_OUT, { cause });
    throw cause;
  }
}

export function checkSize(bytes: number, allowed: number, what: string): void {
  if (bytes <= allowed) return;
  throw new PackageUnfit(
    `the package is larger than ${allowed} bytes ${what}`,
    "leave out what the function doesn't need: name it in .mayflyignore, or install without development dependencies",
  );
}
