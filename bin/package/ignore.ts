/**
 * `.mayflyignore`: what of a folder isn't deployed, in the words of a .gitignore.
 *
 * A line is a glob. One with a slash before its end counts from the folder itself, any other at every depth; a slash at
 * the end means folders only; `!` takes back; `#` begins a comment; the last line that matches decides.
 */
import { matchesGlob } from "node:path";

interface Rule {
  readonly pattern: string;
  readonly takesBack: boolean;
  readonly foldersOnly: boolean;
}

/** Never part of a function, whatever the file says. */
const ALWAYS = new Set([".git", ".hg", ".svn", ".DS_Store", ".mayflyignore", "mayfly.json"]);

/** Whether a name relative to the folder is left out. What lies in a folder that is left out isn't asked about. */
export function ignoring(text: string): (name: string, isFolder: boolean) => boolean {
  const rules = text.split(/\r?\n/).flatMap(ruleOf);
  return (name, isFolder) => {
    if (ALWAYS.has(name) || name.endsWith("/.git") || name.endsWith("/.DS_Store")) return true;
    const deciding = rules.findLast((rule) => (isFolder || !rule.foldersOnly) && matchesGlob(name, rule.pattern));
    return deciding !== undefined && !deciding.takesBack;
  };
}

function ruleOf(line: string): Rule[] {
  const words = line.trim();
  if (words === "" || words.startsWith("#")) return [];
  const takesBack = words.startsWith("!");
  const foldersOnly = words.endsWith("/");
  const glob = words.slice(takesBack ? 1 : 0, foldersOnly ? -1 : undefined);
  const anchored = glob.includes("/");
  return [{ pattern: anchored ? glob.replace(/^\//, "") : `**/${glob}`, takesBack, foldersOnly }];
}
