/** Runs a seccomp filter as the kernel would, on calls made up by a test. */
import type { Program } from "../../../../actors/sandbox/drivers/seccomp/bpf.ts";

export interface Call {
  readonly architecture: number;
  readonly number: number;
  readonly args?: readonly number[];
}

/** The verdict, and how many instructions it took. Throws on anything the kernel's checker would refuse. */
export function judge(program: Program, call: Call): { verdict: number; steps: number } {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number >>> 0, 0);
  data.writeUInt32LE(call.architecture >>> 0, 4);
  (call.args ?? []).forEach((arg, index) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), 16 + 8 * index);
  });
  let accumulator = 0;
  let at = 0;
  for (let steps = 1; ; steps++) {
    const { code, jt, jf, k } = program[at] ?? fail(`fell off the end at ${at}`);
    if (jt > 255 || jf > 255) fail(`a jump too far at ${at}`);
    at += 1;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k >>> 0 ? jt : jf;
    else if (code === 0x35) at += accumulator >= k >>> 0 ? jt : jf;
    else if (code === 0x06) return { verdict: k >>> 0, steps };
    else fail(`unknown instruction ${code}`);
  }
}

function fail(why: string): never {
  throw new Error(why);
}
