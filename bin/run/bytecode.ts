/** Which functions begin with bytecode of an earlier sandbox, and whose. */
import { statSync } from "node:fs";
import type { KeptBytecode } from "../../actors/sandbox/bytecode.ts";
import type { ResolvedRuntime } from "../../actors/sandbox/runtimes/catalogue.ts";
import { nodeMajor } from "../../actors/sandbox/runtimes/node-interpreter.ts";
import { bytecodeName } from "../../actors/worker/bytecode-name.ts";
import type { BytecodeStore } from "../../actors/worker/bytecode-store.ts";
import type { FunctionSpec } from "../../subjects/function.ts";

const NODE = "/var/lang/bin/node";

/** Undefined for what isn't Node.js, and for what a host starts: a wrapper or NODE_OPTIONS may change how it compiles. */
export function bytecodeFor(
  store: BytecodeStore,
  spec: FunctionSpec,
  runtime: ResolvedRuntime,
): KeptBytecode | undefined {
  const node = runtime.mounts.find(({ to }) => to === NODE);
  if (nodeMajor(spec.runtime) === null || runtime.client !== undefined || node === undefined) return undefined;
  const { dev, ino, size, mtimeMs } = statSync(node.from);
  const file = [node.from, dev, ino, size, mtimeMs].join(":");
  return store.of(bytecodeName(spec, { version: runtime.version, file }));
}
