const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const DAYS = "sun mon tue wed thu fri sat".split(" ");
const MACROS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const MINUTE = 60_000;
const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: MINUTE, s: 1000 };
/** The 29th of February may be eight years away. */
const HORIZON = 9 * 366 * 24 * 60 * MINUTE;

/** The next time after `after` (ms since the epoch), or undefined where there is none. */
export type CronSchedule = (after: number) => number | undefined;

/** Five fields as in cron(5), names, ranges, steps, and the macros of robfig/cron. Undefined where it isn't one. */
export function parseCron(text: string, timeZone = "UTC"): CronSchedule | undefined {
  const every = /^@every ((\d+[hms])+)$/.exec(text.trim());
  if (every) {
    const period = [...every[1]!.matchAll(/(\d+)([hms])/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!,
      0,
    );
    return period > 0 ? (after) => after + period : undefined;
  }
  const fields = (MACROS[text.trim()] ?? text).trim().split(/\s+/);
  if (fields.length !== 5) return undefined;
  const minutes = parseField(fields[0]!, 0, 59);
  const hours = parseField(fields[1]!, 0, 23);
  const days = parseField(fields[2]!, 1, 31);
  const months = parseField(fields[3]!, 1, 12, MONTHS);
  const weekdays = parseField(fields[4]!, 0, 7, DAYS);
  const offset = zoneOffset(timeZone);
  if (!minutes || !hours || !days || !months || !weekdays || !offset) return undefined;
  if (weekdays.has(7)) weekdays.add(0);
  // Where both days are restricted, either will do.
  const open = [fields[2]!, fields[4]!].some((field) => field.startsWith("*") || field === "?");
  const dayFits = (date: Date): boolean => {
    const [day, weekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
    return open ? day && weekday : day || weekday;
  };
  return (after) => {
    for (let at = Math.floor(after / MINUTE) * MINUTE + MINUTE; at < after + HORIZON; ) {
      const shift = offset(at);
      const local = new Date(at + shift);
      if (!months.has(local.getUTCMonth() + 1)) at = Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1) - shift;
      else if (!dayFits(local)) at = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate() + 1) - shift;
      else if (!hours.has(local.getUTCHours())) at += (60 - local.getUTCMinutes()) * MINUTE;
      else if (!minutes.has(local.getUTCMinutes())) at += MINUTE;
      else return at;
    }
    return undefined;
  };
}

function parseField(text: string, low: number, high: number, names: readonly string[] = []): Set<number> | undefined {
  const out = new Set<number>();
  const value = (word: string): number => {
    const named = names.indexOf(word.toLowerCase());
    if (named >= 0) return low === 1 ? named + 1 : named;
    return /^\d+$/.test(word) ? Number(word) : Number.NaN;
  };
  for (const part of text.split(",")) {
    const [range = "", step, ...more] = part.split("/");
    const [first = "", last, ...rest] = range.split("-");
    if (more.length > 0 || rest.length > 0) return undefined;
    const all = first === "*" || first === "?";
    const from = all ? low : value(first);
    const to = all ? high : last !== undefined ? value(last) : step !== undefined ? high : from;
    const by = step === undefined ? 1 : value(step);
    if (!(from >= low && to <= high && from <= to && by >= 1)) return undefined;
    for (let at = from; at <= to; at += by) out.add(at);
  }
  return out;
}

/** Milliseconds that a zone's clocks are ahead of UTC at a time. Undefined where the zone isn't known. */
function zoneOffset(timeZone: string): ((at: number) => number) | undefined {
  if (timeZone === "UTC" || timeZone === "Etc/UTC") return () => 0;
  try {
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    return (at) => {
      const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
      return (
        Date.UTC(part["year"]!, part["month"]! - 1, part["day"], part["hour"], part["minute"], part["second"]) -
        Math.floor(at / 1000) * 1000
      );
    };
  } catch {
    return undefined;
  }
}
