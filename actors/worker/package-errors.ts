/** Why a code package can't be had, besides what it holds. Each carries the package's SHA-256 in its message. */

/** The CODE bucket holds no such package. */
export class CodeMissing extends Error {
  override readonly name = "CodeMissing";
}

/** What came isn't what was asked for, or isn't a zip that can be read. */
export class CodeCorrupt extends Error {
  override readonly name = "CodeCorrupt";
}
