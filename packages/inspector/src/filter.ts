import { bodyText } from "./decode/content.ts";
import { inspectorError } from "./errors.ts";
import { type Exchange, type HeaderList, headerOf } from "./exchange.ts";

/**
 * What a list is narrowed by: terms with white space between them, all of which must hold. `-` ahead of a term turns it round, `|` in a value
 * stands for "or", and quotes hold white space together: `status:5xx method:POST|PUT path:/api -header:x-user=alice body:"not found"`.
 * A word without a known key is looked for in method, path, host and status. Text is compared without case.
 */
export interface Filter {
  readonly terms: readonly FilterTerm[];
}

export interface FilterTerm {
  key: FilterKey;
  /** Any of them. */
  values: readonly string[];
  negated: boolean;
}

export const FILTER_KEYS = [
  "status",
  "method",
  "path",
  "host",
  "header",
  "body",
  "type",
  "service",
  "peer",
  "session",
  "is",
  "larger",
  "slower",
  "text",
] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];

const STATES = ["open", "done", "failed", "pinned", "replay", "incoming", "outgoing", "websocket", "connection"];

const invalid = (message: string, hint: string): Error => inspectorError("INSPECTOR_FILTER_INVALID", message, { hint });

/** Throws `INSPECTOR_FILTER_INVALID`, with what is wrong and how it is said. */
export function parseFilter(text: string): Filter {
  if (text.length > 2000) throw invalid(`a filter of ${text.length} characters is too long`, "say it in at most 2,000");
  return { terms: words(text).map(parseTerm) };
}

/** The canonical form: `parseFilter(formatFilter(f))` is `f`. */
export function formatFilter({ terms }: Filter): string {
  return terms.map(({ key, values, negated }) => `${negated ? "-" : ""}${key}:${values.map(quote).join("|")}`).join(" ");
}

const quote = (value: string): string => (/^[^\s"\\|]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);

interface Word {
  /** Where a quote began: what stands behind that is no key. */
  text: string;
  quotedFrom: number;
  /** Places of `|` that separate values. */
  bars: number[];
}

function words(text: string): Word[] {
  const found: Word[] = [];
  let word: Word | undefined;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (!quoted && /\s/.test(char)) {
      if (word) found.push(word);
      word = undefined;
      continue;
    }
    word ??= { text: "", quotedFrom: Number.POSITIVE_INFINITY, bars: [] };
    if (char === '"') {
      quoted = !quoted;
      word.quotedFrom = Math.min(word.quotedFrom, word.text.length);
    } else if (quoted && char === "\\" && at + 1 < text.length) word.text += text[++at];
    else {
      if (char === "|" && !quoted) word.bars.push(word.text.length);
      word.text += char;
    }
  }
  if (quoted) throw invalid("a quote in the filter isn't closed", 'close it with ", or write \\" for a quote that is meant');
  if (word) found.push(word);
  return found;
}

function parseTerm({ text, quotedFrom, bars }: Word): FilterTerm {
  const negated = text.length > 1 && text.startsWith("-") && quotedFrom > 0;
  const from = negated ? 1 : 0;
  const colon = text.indexOf(":");
  const name = colon > 0 && colon < quotedFrom ? text.slice(from, colon).toLowerCase() : "";
  const key = FILTER_KEYS.find((each) => each === name);
  const start = key ? colon + 1 : from;
  const cuts = [start, ...(key ? bars.filter((bar) => bar >= start).map((bar) => bar + 1) : [])];
  const values = cuts.map((cut, index) => text.slice(cut, index + 1 < cuts.length ? cuts[index + 1]! - 1 : undefined));
  for (const value of values) checkValue(key ?? "text", value);
  return { key: key ?? "text", values, negated };
}

function checkValue(key: FilterKey, value: string): void {
  if (value === "")
    throw invalid(
      `the filter's ${key} has no value`,
      key === "header" ? "say header:name or header:name=value" : `say what to look for, as in ${key}:…`,
    );
  if (key === "status" && !/^(?:[1-5]xx|[1-5]\d\d|[1-5]\d\d-[1-5]\d\d)$/i.test(value))
    throw invalid(`${JSON.stringify(value)} is no status`, "say status:404, status:5xx or status:400-499");
  if (key === "is" && !STATES.includes(value.toLowerCase()))
    throw invalid(`a request can't be ${JSON.stringify(value)}`, `say is: with one of ${STATES.join(", ")}`);
  if (key === "larger" && sizeOf(value) === undefined)
    throw invalid(`${JSON.stringify(value)} is no size`, "say larger:500, larger:10k or larger:1m (bytes)");
  if (key === "slower" && timeOf(value) === undefined)
    throw invalid(`${JSON.stringify(value)} is no duration`, "say slower:200ms or slower:2s");
  if (key === "header" && value.startsWith("="))
    throw invalid("a header in the filter has no name", "say header:name or header:name=value");
}

function sizeOf(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,12})(k|m)?b?$/i.exec(text) ?? [];
  return digits === undefined
    ? undefined
    : Number(digits) * { "": 1, k: 1024, m: 1024 * 1024 }[unit.toLowerCase() as "" | "k" | "m"];
}

function timeOf(text: string): number | undefined {
  const [, digits, unit = "ms"] = /^(\d{1,9})(ms|s)?$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * (unit.toLowerCase() === "s" ? 1000 : 1);
}

/** Whether every term holds. */
export function matchesFilter({ terms }: Filter, exchange: Exchange): boolean {
  return terms.every(({ key, values, negated }) => values.some((value) => holds(key, value, exchange)) !== negated);
}

const includes = (text: string | undefined, part: string): boolean => text?.toLowerCase().includes(part.toLowerCase()) ?? false;

function holds(key: FilterKey, value: string, exchange: Exchange): boolean {
  const { requestHeaders, responseHeaders, requestBody, responseBody, connection, status } = exchange;
  switch (key) {
    case "status":
      return status !== undefined && statusFits(value, status);
    case "method":
      return exchange.method.toLowerCase() === value.toLowerCase();
    case "path":
      return includes(exchange.path, value);
    case "host":
      return includes(headerOf(requestHeaders, "host"), value);
    case "header":
      return [requestHeaders, responseHeaders, exchange.responseTrailers].some((headers) => hasHeader(headers, value));
    case "type":
      return includes(headerOf(responseHeaders, "content-type"), value);
    case "service":
      return includes(connection.service, value);
    case "peer":
      return includes(connection.caller, value) || includes(connection.peer, value);
    case "session":
      return connection.session === value;
    case "larger":
      return requestBody.bytes + responseBody.bytes > sizeOf(value)!;
    case "slower":
      return (exchange.timings.done ?? 0) > timeOf(value)!;
    case "is":
      return isIn(value.toLowerCase(), exchange);
    case "body":
      return (
        includes(bodyText(requestHeaders, requestBody), value) ||
        includes(bodyText(responseHeaders, responseBody), value) ||
        exchange.messages.some(({ text }) => includes(text, value))
      );
    case "text":
      return (
        includes(exchange.path, value) ||
        includes(headerOf(requestHeaders, "host"), value) ||
        includes(exchange.method, value) ||
        String(status ?? "") === value
      );
  }
}

function statusFits(value: string, status: number): boolean {
  if (/xx$/i.test(value)) return Math.floor(status / 100) === Number(value[0]);
  const [least, most = least] = value.split("-").map(Number);
  return status >= least! && status <= most!;
}

function hasHeader(headers: HeaderList, value: string): boolean {
  const equals = value.indexOf("=");
  const name = (equals < 0 ? value : value.slice(0, equals)).toLowerCase();
  return headers.some(
    ([each, content]) => each.toLowerCase() === name && (equals < 0 || includes(content, value.slice(equals + 1))),
  );
}

function isIn(state: string, exchange: Exchange): boolean {
  if (state === "pinned") return exchange.pinned;
  if (state === "replay") return exchange.replayOf !== undefined;
  if (state === "incoming" || state === "outgoing") return exchange.connection.direction === state;
  if (state === "websocket") return exchange.status === 101;
  if (state === "connection") return exchange.httpVersion === "";
  return exchange.state === state;
}
