import { relayError } from "../errors.ts";
import type { AcceptPort, Lease, Match } from "../protocol.ts";
import { compileMatch } from "./route.ts";

/** More than any lease needs; each condition is looked at on every request. */
const CONDITIONS = 32;
const TEXT = 4096;
/** A day: as long as a request can be asked to wait. */
const HOLD_MS = 86_400_000;

/** A lease as it came over the link. Throws `LEASE_INVALID` or `RELAY_PATTERN`. */
export function parseLease(input: unknown, id: string, accept: readonly AcceptPort[]): Lease {
  const lease = object(input, "the lease");
  if (lease["id"] !== undefined && lease["id"] !== id) refuse("its id is not that of its path");
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(id)) refuse("its id is not 1 to 128 letters, digits, dots and dashes");
  const ports = list(lease["ports"], "ports", (port) =>
    Number.isInteger(port) ? (port as number) : refuse("a port is not a number"),
  );
  if (ports.length === 0) refuse("it names no port");
  const unknown = ports.find((port) => !accept.some((one) => one.port === port));
  if (unknown !== undefined) refuse(`port ${unknown} is not among the relay's: ${accept.map(({ port }) => port).join(", ")}`);
  const { holdMs, mirror, wish } = lease;
  if (typeof holdMs !== "number" || !(holdMs >= 0 && holdMs <= HOLD_MS)) refuse(`holdMs is not a number from 0 to ${HOLD_MS}`);
  if (mirror !== undefined && typeof mirror !== "boolean") refuse("mirror is neither true nor false");
  return {
    id,
    holder: text(lease["holder"], "holder"),
    ports: [...new Set(ports)],
    match: parseMatch(lease["match"]),
    ...(mirror === true && { mirror }),
    holdMs: holdMs as number,
    ...(wish !== undefined && { wish: text(wish, "wish") }),
  };
}

function parseMatch(input: unknown): Match {
  const given = object(input, "its match");
  const match: Match = {
    ...(given["all"] === true && { all: true as const }),
    ...(given["headers"] !== undefined && { headers: list(given["headers"], "headers", header) }),
    ...(given["path"] !== undefined && { path: path(given["path"]) }),
    ...(given["methods"] !== undefined && { methods: list(given["methods"], "methods", (method) => text(method, "a method")) }),
    ...(given["baggage"] !== undefined && {
      baggage: list(given["baggage"], "baggage", (entry) => {
        const { key, value } = object(entry, "a baggage entry");
        return { key: text(key, "a baggage key"), value: text(value, "a baggage value", 0) };
      }),
    }),
  };
  const conditions = [match.all, match.path, ...(match.headers ?? []), ...(match.methods ?? []), ...(match.baggage ?? [])];
  const count = conditions.filter((condition) => condition !== undefined).length;
  if (count === 0) refuse("its match says nothing; for everything, it says all");
  if (count > CONDITIONS) refuse(`its match has more than ${CONDITIONS} conditions`);
  compileMatch(match);
  return match;
}

function header(input: unknown): { name: string; value: string } | { name: string; regex: string } {
  const given = object(input, "a header");
  const name = text(given["name"], "a header's name");
  return given["regex"] === undefined
    ? { name, value: text(given["value"], "a header's value", 0) }
    : { name, regex: text(given["regex"], "a header's pattern") };
}

function path(input: unknown): NonNullable<Match["path"]> {
  const given = object(input, "its path");
  if (given["exact"] !== undefined) return { exact: text(given["exact"], "a path") };
  if (given["prefix"] !== undefined) return { prefix: text(given["prefix"], "a path's prefix") };
  return { regex: text(given["regex"], "a path's pattern") };
}

function refuse(why: string): never {
  throw relayError("LEASE_INVALID", `the relay can't take the lease: ${why}`);
}

function object(input: unknown, what: string): Record<string, unknown> {
  return typeof input === "object" && input !== null && !Array.isArray(input)
    ? (input as Record<string, unknown>)
    : refuse(`${what} is not an object`);
}

function list<T>(input: unknown, what: string, each: (item: unknown) => T): T[] {
  if (!Array.isArray(input)) return refuse(`${what} is not a list`);
  if (input.length > CONDITIONS) return refuse(`${what} has more than ${CONDITIONS} entries`);
  return input.map(each);
}

function text(input: unknown, what: string, least = 1): string {
  return typeof input === "string" && input.length >= least && input.length <= TEXT
    ? input
    : refuse(`${what} is not a text of ${least} to ${TEXT} characters`);
}
