/**
 * The first process inside: a shell of the host's /usr. It says that the isolation stands, waits to be let go, starts the
 * program, buries orphans, and ends as the program does. A program could be first itself, but the first process of a pid
 * namespace has no default reaction to signals: `abort()` and `kill -TERM $$` would not end it.
 */

/** What it says on the channel before the program's own first byte. */
export const STANDS = ".";
/** What it is told then. */
export const GO = "\n";

/** Its own words about a program that died by a signal are dropped; the program has its standard error. */
const WAIT_AND_RUN = `printf ${STANDS} >&3 && read -r _ <&3 || exit 125
unset HOME OLDPWD SHLVL _
exec 4>&2 2>/dev/null 0</dev/null
"$@" 2>&4 4>&-
exit $?`;
/** Of a runtime that hands on no descriptor but the first three, the channel is the standard input. */
const FROM_INPUT = "exec 3<&0\n";

/** The command line for `command`; the instance's name as its own word is how the watchdog finds the process. */
export function firstProcess(
  instance: string,
  channel: "descriptor" | "input",
  command: readonly string[],
): readonly string[] {
  const script = channel === "input" ? FROM_INPUT + WAIT_AND_RUN : WAIT_AND_RUN;
  return ["/bin/sh", "-c", script, instance, ...command];
}
