/**
 * `node --import @shipside/proxy/propagate server.js`: what marks a request as a developer's goes on with the requests that are made while it
 * is answered, so that an intercept deeper in the system gets them too. Node's http, https, and fetch (undici).
 *
 * `SHIPSIDE_PROPAGATE`: which headers, by name, with commas. Default `x-shipside-intercept,baggage`.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import { type ClientRequest, type IncomingMessage, Server } from "node:http";
import { Server as SecureServer } from "node:https";

type Carried = ReadonlyMap<string, string>;

const names = (process.env["SHIPSIDE_PROPAGATE"] ?? "x-shipside-intercept,baggage")
  .split(",")
  .map((name) => name.trim().toLowerCase())
  .filter((name) => name !== "");

const current = new AsyncLocalStorage<Carried>();

const carriedBy = ({ headers }: IncomingMessage): Carried =>
  new Map(
    names.flatMap((name): Array<[string, string]> => {
      const value = headers[name];
      return value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]];
    }),
  );

// Whatever is done for a request begins with its event: what runs in there, and after it, knows the request.
for (const { prototype } of [Server, SecureServer]) {
  const emit = prototype.emit as (this: unknown, event: string, ...args: unknown[]) => boolean;
  prototype.emit = function (this: unknown, event: string, ...args: unknown[]) {
    if (event !== "request" && event !== "upgrade" && event !== "checkContinue") return emit.call(this, event, ...args);
    return current.run(carriedBy(args[0] as IncomingMessage), () => emit.call(this, event, ...args));
  } as typeof prototype.emit;
}

/** What a program sets itself counts; entries of baggage are added to its own. */
function missing(has: (name: string) => string | undefined): Array<[string, string]> {
  return [...(current.getStore() ?? [])].flatMap(([name, value]): Array<[string, string]> => {
    const own = has(name);
    if (own === undefined) return [[name, value]];
    if (name !== "baggage") return [];
    const keys = new Set(entries(own).map(keyOf));
    const added = entries(value).filter((entry) => !keys.has(keyOf(entry)));
    return added.length === 0 ? [] : [[name, [...entries(own), ...added].join(",")]];
  });
}

const entries = (baggage: string): string[] =>
  baggage
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
const keyOf = (entry: string): string => entry.split("=")[0]!.trim();

subscribe("http.client.request.created", (message) => {
  const { request } = message as { request: ClientRequest };
  // Headers that were given as a list are on their way already.
  if (request.headersSent || (request as { _header?: unknown })._header) return;
  for (const [name, value] of missing((each) => textOf(request.getHeader(each)))) request.setHeader(name, value);
});

const textOf = (value: number | string | readonly string[] | undefined): string | undefined =>
  value === undefined ? undefined : Array.isArray(value) ? value.join(",") : String(value);

/** As undici's `DiagnosticsChannel` documents it: a list of names and values. */
interface UndiciRequest {
  headers: Array<string | string[]> | string;
  addHeader(name: string, value: string): void;
}

subscribe("undici:request:create", (message) => {
  const { request } = message as { request: UndiciRequest };
  const { headers } = request;
  if (!Array.isArray(headers)) return;
  const at = (name: string): number => headers.findIndex((each, i) => i % 2 === 0 && String(each).toLowerCase() === name);
  const own = (name: string): string | undefined => {
    const i = at(name);
    return i < 0 ? undefined : String(headers[i + 1]);
  };
  for (const [name, value] of missing(own)) {
    const i = at(name);
    if (i >= 0) headers[i + 1] = value;
    else request.addHeader(name, value);
  }
});
