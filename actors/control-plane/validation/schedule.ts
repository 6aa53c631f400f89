/**
 * Whether a text is a schedule: `rate(5 minutes)`, `cron(0 12 ? * MON-FRI *)` or `at(2026-01-31T12:00:00)`.
 * Source: EventBridge Scheduler user guide, "Schedule types".
 */
const RATE = /^rate\((?<count>[1-9]\d{0,5}) (?<unit>minute|hour|day)(?<plural>s?)\)$/;
const AT = /^at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$/;
const CRON = /^cron\(([^()]+)\)$/;

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

export function isSchedule(text: string): boolean {
  const rate = RATE.exec(text)?.groups;
  if (rate !== undefined) return (rate.count === "1") === (rate.plural === "");
  const [, at] = AT.exec(text) ?? [];
  if (at !== undefined) return isDate(at);
  const [, fields] = CRON.exec(text) ?? [];
  return fields !== undefined && isCron(fields.split(" "));
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** A day that the calendar has: the 30th of February is read as a day of March. */
const isDate = (text: string): boolean => {
  const date = new Date(`${text}Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
};

function isCron([minutes = "", hours = "", days = "", months = "", weekdays = "", years = "", ...more]: string[]) {
  const isDays = days === "?" || /^(L|LW|([1-9]|[12]\d|3[01])W)$/.test(days) || isField(days, 1, 31);
  const isWeekdays =
    weekdays === "?" || /^([1-7]|[A-Z]{3})?(L|#[1-5])$/.test(weekdays) || isField(weekdays, 1, 7, DAYS);
  return (
    more.length === 0 &&
    (days === "?") !== (weekdays === "?") &&
    isField(minutes, 0, 59) &&
    isField(hours, 0, 23) &&
    isDays &&
    isField(months, 1, 12, MONTHS) &&
    isWeekdays &&
    isField(years, 1970, 2199)
  );
}

/** Lists of values, ranges and steps, as `1,5-10,20/2`. */
function isField(text: string, min: number, max: number, names: readonly string[] = []): boolean {
  const isValue = (value: string) =>
    names.includes(value.toUpperCase()) || (/^\d{1,4}$/.test(value) && Number(value) >= min && Number(value) <= max);
  return text.split(",").every((item) => {
    const [range = "", step, ...rest] = item.split("/");
    if (rest.length > 0 || (step !== undefined && !(/^\d{1,4}$/.test(step) && Number(step) > 0))) return false;
    const [from = "", to, ...others] = range.split("-");
    return range === "*" || (others.length === 0 && isValue(from) && (to === undefined || isValue(to)));
  });
}
