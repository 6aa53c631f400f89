/**
 * EventBridge's schedule expressions in the words of those who keep time: the nats-server, and croner for what the server
 * doesn't know. The control plane has seen to it that they are well-formed.
 * Source: EventBridge Scheduler user guide, "Schedule types"; NATS ADR-51 (schedules); croner's manual.
 */
const RATE = /^rate\((\d+) (minute|hour|day)s?\)$/;
const AT = /^at\((.+)\)$/;
const CRON = /^cron\((.+)\)$/;
const MINUTES = { minute: 1, hour: 60, day: 24 * 60 } as const;

export type Expression =
  | { readonly kind: "rate"; readonly minutes: number }
  /** Local time, as `2026-01-31T12:00:00`. */
  | { readonly kind: "at"; readonly local: string }
  | {
      readonly kind: "cron";
      /** Seconds first; `undefined` when the server has no words for it: years, `L`, `W` and `#`. */
      readonly server: string | undefined;
      /** Seconds first, the year last. */
      readonly croner: string;
    };

/** `undefined` for what is none. */
export function expressionOf(text: string): Expression | undefined {
  const [, count, unit] = RATE.exec(text) ?? [];
  if (unit !== undefined) return { kind: "rate", minutes: Number(count) * MINUTES[unit as keyof typeof MINUTES] };
  const [, local] = AT.exec(text) ?? [];
  if (local !== undefined) return { kind: "at", local };
  const [minutes, hours, days = "", months, weekdays = "", years = "*"] = (CRON.exec(text)?.[1] ?? "").split(" ");
  if (minutes === undefined || hours === undefined || months === undefined) return undefined;
  const [day, weekday] = [anyOf(days), weekdayOf(anyOf(weekdays))];
  const isPlain = years === "*" && !/[LW#]/.test(days) && !/L$|#/.test(weekdays);
  const fields = `0 ${minutes} ${hours} ${day} ${months} ${weekday}`;
  return { kind: "cron", server: isPlain ? fields : undefined, croner: `${fields} ${years}` };
}

const anyOf = (field: string): string => (field === "?" ? "*" : field);

/** EventBridge counts the days of a week from 1, a Sunday; everybody else from 0. `6L` is the last Friday of a month. */
function weekdayOf(field: string): string {
  if (field === "L") return "6";
  const shifted = field
    .split(",")
    .map((item) => {
      const [range = "", ...rest] = item.split(/(?=[/#])/);
      return range.replace(/[1-7]/g, (day) => String(Number(day) - 1)) + rest.join("");
    })
    .join(",");
  return shifted.replace(/^(.+)L$/, "$1#L");
}
