/** What a process writes, line by line. */

/** Bytes of a log event, as CloudWatch has it. */
export const MAX_LINE = 256 * 1024;

/** Cuts a stream into lines; a line without an end is cut at 256 KiB, as CloudWatch does with an event. */
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
