/** A process that waits to be put into its group before it becomes what it is to be; its later children are born there. */

/** For `/bin/sh -c GATE <name> <command…>`: waits for a line at descriptor 4, which the command doesn't get. */
export const GATE = 'read -r _ <&4 || exit 125; exec 4<&-; exec "$@"';

/** What opens it. */
export const OPEN = "\n";
