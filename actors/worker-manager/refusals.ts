/** What whoever wants a sandbox is told when there is none. */
import { refusal } from "../../subjects/errors.ts";

export const NO_ROOM = refusal("ServiceException", "no worker has room for another sandbox of this function");
export const GIVEN_UP = refusal("NotReady", "nobody needs it any more");

/** Of a report of one that didn't start. */
export function notStarted({
  functionError,
  hostFault,
}: {
  functionError?: string | undefined;
  hostFault?: string | undefined;
}) {
  if (functionError !== undefined) return { functionError };
  const because = hostFault === undefined ? "" : `: ${hostFault}`;
  return { refused: refusal("ServiceException", `the sandbox could not be started${because}`) };
}
