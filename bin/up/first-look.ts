/** What a newcomer sees once the system is up: the hello example deployed, invoked cold and warm, and what to type next. */
import type { System } from "./system.ts";
export async function showFirstLook(_system: System, _tell: (line: string) => void): Promise<void> {}
