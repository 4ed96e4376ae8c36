import { compilePattern } from "../pattern.ts";
import type { Match } from "../protocol.ts";
import { parseBaggage } from "./baggage.ts";

/** What is looked at of a request. */
export interface RequestFacts {
  method: string;
  /** As it stood in the request, with its query. */
  target: string;
  /** The values of the headers of that name (in lower case), in order, without the space around them. */
  values(name: string): readonly string[];
}

export type Matcher = (request: RequestFacts) => boolean;

/**
 * A match as a predicate: all that it gives must hold. A header holds where one of its lines does; names are compared without regard to
 * case, values with. A path is compared as it stands in the request, without its query and undecoded. Throws `RELAY_PATTERN`.
 */
export function compileMatch(match: Match): Matcher {
  const conditions: Matcher[] = [];
  if (match.methods) {
    const methods = new Set(match.methods);
    conditions.push(({ method }) => methods.has(method));
  }
  if (match.path) {
    const { path } = match;
    const holds = pathTest(path);
    conditions.push(({ target }) => holds(pathOf(target)));
  }
  for (const wanted of match.headers ?? []) {
    const name = wanted.name.toLowerCase();
    const holds = "regex" in wanted ? testOf(wanted.regex) : (value: string) => value === wanted.value;
    conditions.push((request) => request.values(name).some(holds));
  }
  if (match.baggage?.length) {
    const wanted = match.baggage;
    conditions.push((request) => {
      const entries = parseBaggage(request.values("baggage"));
      return wanted.every((want) => entries.some(([key, value]) => key === want.key && value === want.value));
    });
  }
  return (request) => conditions.every((holds) => holds(request));
}

const testOf = (pattern: string): ((text: string) => boolean) => {
  const compiled = compilePattern(pattern);
  return (text) => compiled.test(text);
};

function pathTest(path: NonNullable<Match["path"]>): (path: string) => boolean {
  if ("exact" in path) return (given) => given === path.exact;
  if ("prefix" in path) return (given) => given.startsWith(path.prefix);
  return testOf(path.regex);
}

/** The path of a request target (RFC 9112, 3.2): origin form, absolute form, or whatever it is. */
export function pathOf(target: string): string {
  const origin = target.startsWith("/") ? target : target.replace(/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/, "") || "/";
  const end = origin.search(/[?#]/);
  const path = end < 0 ? origin : origin.slice(0, end);
  return path === "" ? "/" : path;
}

/** Whether a match takes everything, and so whole connections and ports that aren't HTTP. */
export function takesAll(match: Match): boolean {
  return match.all === true && !match.methods && !match.path && !match.headers?.length && !match.baggage?.length;
}

/**
 * Whether one request could belong to both. Said to be so in doubt: two matches are apart only where they ask for different methods, for
 * paths or header values that exclude each other, or for different values of one baggage entry. A request that carries the same header or
 * entry twice can still meet both; then the older lease has it.
 */
export function overlaps(a: Match, b: Match): boolean {
  return !(methodsApart(a, b) || pathsApart(a, b) || headersApart(a, b) || baggageApart(a, b));
}

function methodsApart(a: Match, b: Match): boolean {
  return a.methods !== undefined && b.methods !== undefined && !a.methods.some((method) => b.methods!.includes(method));
}

function pathsApart({ path: a }: Match, { path: b }: Match): boolean {
  if (!a || !b) return false;
  if ("exact" in a) return !pathTest(b)(a.exact);
  if ("exact" in b) return !pathTest(a)(b.exact);
  return "prefix" in a && "prefix" in b && !a.prefix.startsWith(b.prefix) && !b.prefix.startsWith(a.prefix);
}

type HeaderMatch = NonNullable<Match["headers"]>[number];

function headersApart(a: Match, b: Match): boolean {
  const apart = (one: HeaderMatch, other: HeaderMatch): boolean => {
    if (one.name.toLowerCase() !== other.name.toLowerCase()) return false;
    if ("value" in one) return "value" in other ? one.value !== other.value : !testOf(other.regex)(one.value);
    return "value" in other && !testOf(one.regex)(other.value);
  };
  return (a.headers ?? []).some((one) => (b.headers ?? []).some((other) => apart(one, other)));
}

function baggageApart(a: Match, b: Match): boolean {
  return (a.baggage ?? []).some((one) => (b.baggage ?? []).some((other) => one.key === other.key && one.value !== other.value));
}
