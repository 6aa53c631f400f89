/** Payloads as they are shown. */

/** The JSON, or the text itself where it is none. */
export function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
