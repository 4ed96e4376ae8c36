import { compilePattern, type Match } from "@shipside/relay";
import { proxyError } from "./errors.ts";

/** Asked for where nothing else is: `x-shipside-intercept: <user>`. */
export const INTERCEPT_HEADER = "x-shipside-intercept";

/** What a person says of the requests that are meant; all that is said must hold. */
export interface MatchWords {
  /** `name: value`, or `name~regex`. */
  headers?: readonly string[];
  /** `/exact`, `/prefix*`, or `~regex`. */
  path?: string;
  methods?: readonly string[];
  /** `key=value` of the W3C baggage header. */
  baggage?: readonly string[];
  /** The header with a value that is this developer's alone: see {@link Developer.key}. */
  user?: boolean;
  /** Everything. */
  all?: boolean;
}

export interface Developer {
  /** As they log in here. */
  user: string;
  /** The same each time on this machine, and nobody else's: `alice-4f9a2c`. */
  key: string;
}

type HeaderMatch = NonNullable<Match["headers"]>[number];

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A name up to the first `:`, `=` or `~`. RFC 9110 allows `~` in a name; nobody's header has one. */
const HEADER = /^\s*([!#$%&'*+\-.^_`|0-9A-Za-z]+)\s*([:=~])(.*)$/s;

/** Reads what a person said. Throws `PROXY_OPTION_INVALID`, which says what it should look like. */
export function parseMatch(words: MatchWords, developer: Developer): Match {
  const { headers = [], path, methods = [], baggage = [], user = false, all = false } = words;
  const said = headers.length > 0 || path !== undefined || methods.length > 0 || baggage.length > 0 || user;
  if (all) {
    if (said)
      throw invalid("--all takes every request, so nothing else can be asked for", "leave the other conditions out, or --all");
    return { all: true };
  }
  if (!said) return { headers: [{ name: INTERCEPT_HEADER, value: headerValue(developer.user) }] };
  const wanted = [...headers.map(parseHeader), ...(user ? [{ name: INTERCEPT_HEADER, value: headerValue(developer.key) }] : [])];
  return {
    ...(wanted.length > 0 && { headers: wanted }),
    ...(path !== undefined && { path: parsePath(path) }),
    ...(methods.length > 0 && { methods: methods.map(parseMethod) }),
    ...(baggage.length > 0 && { baggage: baggage.map(parseBaggage) }),
  };
}

function parseHeader(text: string): HeaderMatch {
  const found = HEADER.exec(text);
  if (!found) throw invalid(`--header ${JSON.stringify(text)} is no header`, "'name: value', or 'name~regex'");
  const [, name, sign, rest] = found as unknown as [string, string, string, string];
  const value = rest.trim();
  if (sign === "~") return { name: name.toLowerCase(), regex: parseRegex(value, `--header ${JSON.stringify(text)}`) };
  if (hasControl(value))
    throw invalid(`--header ${JSON.stringify(text)}: a header's value is one line of text`, "leave control characters out");
  return { name: name.toLowerCase(), value };
}

function parsePath(text: string): NonNullable<Match["path"]> {
  if (text.startsWith("~")) return { regex: parseRegex(text.slice(1), `--path ${JSON.stringify(text)}`) };
  const star = text.indexOf("*");
  if (!text.startsWith("/") || /[\s?#]/.test(text) || (star >= 0 && star < text.length - 1)) {
    throw invalid(
      `--path ${JSON.stringify(text)} is no path`,
      "'/cart' (just that), '/cart*' (all that begin so), or '~regex'; without the query",
    );
  }
  return star >= 0 ? { prefix: text.slice(0, -1) } : { exact: text };
}

function parseMethod(text: string): string {
  if (!TOKEN.test(text)) throw invalid(`--method ${JSON.stringify(text)} is no method`, "such as GET or POST");
  return text.toUpperCase();
}

function parseBaggage(text: string): { key: string; value: string } {
  const at = text.indexOf("=");
  const [key, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (at < 1 || !TOKEN.test(key) || hasControl(value)) {
    throw invalid(
      `--baggage ${JSON.stringify(text)} is no entry of a baggage header`,
      "'key=value', the value as it is before percent-encoding",
    );
  }
  return { key, value };
}

function parseRegex(text: string, what: string): string {
  try {
    if (text === "") throw new Error("it is empty");
    // As the relay reads it, which has no back references and no lookaround.
    compilePattern(text);
  } catch (cause) {
    throw invalid(
      `${what}: no regular expression that can be used here: ${(cause as Error).message}`,
      "it is searched for anywhere; ^ and $ mean the ends",
      cause,
    );
  }
  return text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they are
const hasControl = (text: string): boolean => /[\x00-\x1f\x7f]/.test(text);

/** A user's name may be anything; in a header it is printable ASCII. */
const headerValue = (text: string): string => text.replace(/[^\x21-\x7e]+/g, "-") || "developer";

const invalid = (message: string, hint: string, cause?: unknown): Error =>
  proxyError("PROXY_OPTION_INVALID", message, { hint, ...(cause !== undefined && { cause }) });

/** For people: `requests with x-shipside-intercept: alice and path /cart*`. */
export function describeMatch(match: Match): string {
  if (match.all) return "every request and connection";
  const parts = [
    ...(match.headers ?? []).map((header) =>
      "regex" in header ? `${header.name} matching /${header.regex}/` : `${header.name}: ${header.value}`,
    ),
    ...(match.baggage ?? []).map(({ key, value }) => `baggage ${key}=${value}`),
    ...(match.path
      ? [
          `path ${"exact" in match.path ? match.path.exact : "prefix" in match.path ? `${match.path.prefix}*` : `matching /${match.path.regex}/`}`,
        ]
      : []),
    ...(match.methods ? [`method ${match.methods.join(" or ")}`] : []),
  ];
  return `requests with ${parts.join(" and ")}`;
}

/** The headers that mark a request so, where they can be told: what to give to curl, and what to hand on from call to call. */
export function markingHeaders(match: Match): Record<string, string> {
  const headers = Object.fromEntries(
    (match.headers ?? []).flatMap((header) => ("value" in header ? [[header.name, header.value]] : [])),
  );
  const entries = (match.baggage ?? []).map(({ key, value }) => `${key}=${encodeURIComponent(value)}`);
  return { ...headers, ...(entries.length > 0 && { baggage: entries.join(",") }) };
}
