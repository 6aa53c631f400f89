/** What a process writes to its standard output and error. */

/** Characters of one line of the log, as CloudWatch limits an event. */
export const MAX_LINE = 256 * 1024;

/** Cuts a stream into lines; a line without an end is cut at `MAX_LINE`. */
export function lines(stream: NodeJS.ReadableStream, heard: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {});
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) heard(part);
    for (; rest.length > MAX_LINE; rest = rest.slice(MAX_LINE)) heard(rest.slice(0, MAX_LINE));
  });
  stream.on("end", () => {
    if (rest !== "") heard(rest);
  });
}
