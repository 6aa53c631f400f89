/** A process of its own that makes a package, or a set of layers, ready in the cache's folder and says so; to be killed. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodeCache } from "../../actors/worker/code-cache.ts";

const [folder = "", shelf = "", ...sha256s] = process.argv.slice(2);
const cache = new CodeCache({ folder, store: { get: (sha256) => readFile(join(shelf, sha256)) }, maxBytes: 2 ** 30 });
process.stdout.write(`${(await cache.useLayers(sha256s)).folder}\n`);
