/** Where a program that has no root of its own finds what others see mounted. Pure. */
import type { Mount } from "../driver.ts";

/**
 * `text` with each path below a mount's `to` replaced by the one below its `from`: whole words, and parts of lists such as
 * `NODE_PATH=/opt/a:/opt/b`. Of mounts within mounts the innermost counts.
 */
export function onHost(text: string, mounts: readonly Mount[]): string {
  const innermostFirst = [...mounts].sort((a, b) => b.to.length - a.to.length);
  return text.replace(/(^|[:;,=\s])(\/[^:;,\s]*)/g, (_, before: string, path: string) => {
    const mount = innermostFirst.find(({ to }) => path === to || path.startsWith(`${to}/`));
    return before + (mount ? mount.from + path.slice(mount.to.length) : path);
  });
}
