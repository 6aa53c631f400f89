/** Asking the control plane, by the Lambda API's operation names and shapes. */
import { z } from "zod";
import { NoAnswer } from "../actors/bus/port.ts";
import { refusalOf } from "../actors/bus/replies.ts";
import { UserApi } from "../subjects/api.ts";
import { Refused } from "../subjects/errors.ts";
import { FunctionConfiguration } from "../subjects/function.ts";
import { NotRunning } from "./failure.ts";
import type { Session } from "./session.ts";

const ANSWER_MS = 30_000;

/** What the CLI reads of answers. Fields it doesn't know pass through, so that `--json` shows all. */
export const Configuration = FunctionConfiguration.partial().loose();
export type Configuration = z.infer<typeof Configuration>;

/** The operation's answer. Throws `Refused` with the platform's own name and words, `NotRunning` when nobody answers. */
export async function callApi(session: Session, operation: string, body: object): Promise<unknown> {
  const said = { subject: UserApi.subject({ operation }), payload: JSON.stringify(body) };
  const reply = await session.network.request(said, ANSWER_MS).catch((cause: unknown) => {
    if (cause instanceof NoAnswer)
      throw new NotRunning(`the control plane doesn't answer (${cause.message})`, { cause });
    throw cause;
  });
  const refused = refusalOf(reply);
  if (refused !== undefined) throw new Refused(refused.name, refused.message, refused.reason);
  const text = new TextDecoder().decode(reply.data);
  return text === "" ? {} : JSON.parse(text);
}

/** The function's configuration now; undefined when there is no such function. */
export async function findFunction(session: Session, name: string): Promise<Configuration | undefined> {
  try {
    return Configuration.parse(await callApi(session, "GetFunctionConfiguration", { FunctionName: name }));
  } catch (error) {
    if (error instanceof Refused && error.refusal.name === "ResourceNotFoundException") return undefined;
    throw error;
  }
}

/** Every item of a listing, page after page. */
export async function listAll<T extends z.ZodType>(
  session: Session,
  operation: string,
  body: object,
  field: string,
  item: T,
): Promise<z.output<T>[]> {
  const Page = z.object({ NextMarker: z.string().nullish() }).loose();
  const items: z.output<T>[] = [];
  let marker: string | undefined;
  do {
    const page = Page.parse(
      await callApi(session, operation, marker === undefined ? body : { ...body, Marker: marker }),
    );
    items.push(...z.array(item).parse(page[field] ?? []));
    marker = page.NextMarker ?? undefined;
  } while (marker !== undefined && marker !== "");
  return items;
}
