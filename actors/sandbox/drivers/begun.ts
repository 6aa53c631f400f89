/**
 * A process that there may be none of. Where the host has no more of them, or the worker no more descriptors, Node gives
 * one without a pid, in the latter case without channels too, and tells why in an event that ends the worker if nobody hears it.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { BootFailed } from "./driver.ts";

/** Starts it. Rejects with `BootFailed` when it didn't begin. */
export async function begun<Child extends ChildProcess>(start: () => Child): Promise<Child & { readonly pid: number }> {
  try {
    const child = start();
    if (hasPid(child)) return child;
    const [why] = await once(child, "error");
    throw why;
  } catch (error) {
    throw new BootFailed(String(error));
  }
}

const hasPid = <Child extends ChildProcess>(child: Child): child is Child & { pid: number } => child.pid !== undefined;
