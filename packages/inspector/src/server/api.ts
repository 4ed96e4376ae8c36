import { toCurl } from "../curl.ts";
import { decodeBody } from "../decode/content.ts";
import { grpcBody } from "../decode/grpc.ts";
import { isSafeImage, mediaType } from "../decode/view.ts";
import { inspectorError } from "../errors.ts";
import type { Exchange, HeaderList } from "../exchange.ts";
import { toHar } from "../har.ts";
import { MASK } from "../headers.ts";
import type { Inspector } from "../inspector.ts";
import type { ReplayEdit } from "../replay/outgoing.ts";
import type { SessionSource } from "../sessions.ts";
import { gone } from "../store.ts";
import { summaryOf } from "../summary.ts";
import { exchangeJson } from "./exchange-json.ts";
import { openApi } from "./openapi.ts";

export interface ApiRequest {
  sessions: SessionSource;
  method: string;
  path: string;
  query: URLSearchParams;
  /** The parsed JSON body; undefined where there is none. */
  body: unknown;
  signal: AbortSignal;
}

export interface ApiAnswer {
  status: number;
  json?: unknown;
  file?: { bytes: Uint8Array; type: string; name?: string };
}

const invalid = (message: string, hint: string): Error => inspectorError("INSPECTOR_REQUEST_INVALID", message, { hint });

/** All of the API but its events and the login. Rejects with the inspector's coded errors. */
export async function answerApi(inspector: Inspector, request: ApiRequest): Promise<ApiAnswer> {
  const { method, path, query } = request;
  const [, , first = "", second = "", third = "", fourth = ""] = path.split("/");
  const reveal = query.get("reveal") === "true";
  const route = `${method} ${[first, second && "*", third, fourth].filter(Boolean).join("/")}`;
  const exchange = (): Exchange => exchangeOf(inspector, second);
  switch (route) {
    case "GET openapi.json":
      return { status: 200, json: openApi };
    case "GET status":
      return { status: 200, json: { stats: inspector.stats(), budgets: inspector.budgets } };
    case "GET sessions":
      return { status: 200, json: { at: Date.now(), sessions: request.sessions() } };
    case "GET exchanges": {
      const found = await inspector.list(listOptions(query));
      return { status: 200, json: { exchanges: found.map(summaryOf) } };
    }
    case "DELETE exchanges":
      inspector.clear();
      return { status: 204 };
    case "GET exchanges/*": {
      const one = exchange();
      return { status: 200, json: await exchangeJson(one, inspector.replayTargets(one), reveal) };
    }
    case "PUT exchanges/*/pin": {
      const { pinned } = objectOf(request.body);
      if (typeof pinned !== "boolean") throw invalid("`pinned` must be true or false", 'send {"pinned": true}');
      return { status: 200, json: summaryOf(inspector.pin(exchange().id, pinned)) };
    }
    case "GET exchanges/*/curl":
      return { status: 200, json: { command: toCurl(exchange(), { reveal }) } };
    case "GET exchanges/*/request/body":
    case "GET exchanges/*/response/body":
      return { status: 200, file: await bodyFile(exchange(), third as "request" | "response") };
    case "POST exchanges/*/replay": {
      const one = exchange();
      const { target, edit } = objectOf(request.body ?? {});
      if (target !== undefined && typeof target !== "string")
        throw invalid("`target` must be a target's name", "leave it out for the usual one");
      const again = await inspector.replay(one.id, {
        ...(target !== undefined && { target }),
        ...(edit !== undefined && { edit: editOf(edit, one) }),
        signal: request.signal,
      });
      return { status: 200, json: summaryOf(again) };
    }
    case "GET diff":
      return { status: 200, json: await inspector.diff(idOf(query.get("left")), idOf(query.get("right")), { reveal }) };
    case "GET har": {
      const ids = query.get("ids");
      const chosen =
        ids === null ? await inspector.list(listOptions(query)) : ids.split(",").map((id) => exchangeOf(inspector, id));
      const har = JSON.stringify(await toHar(chosen, { reveal }));
      return { status: 200, file: { bytes: Buffer.from(har), type: "application/json", name: "shipside.har" } };
    }
    default:
      throw inspectorError("INSPECTOR_NOT_FOUND", `the inspector has no ${method} ${path.slice(0, 200)}`, {
        hint: "GET /api/openapi.json says what it has",
      });
  }
}

function idOf(text: string | null): number {
  if (text === null || !/^\d{1,15}$/.test(text))
    throw invalid(`${JSON.stringify(text)} is no request's number`, "a number from 1 up, as in the list");
  return Number(text);
}

function exchangeOf(inspector: Inspector, text: string): Exchange {
  const id = idOf(text);
  const found = inspector.get(id);
  if (!found) throw gone(id);
  return found;
}

function listOptions(query: URLSearchParams): { filter: string; limit?: number; before?: number } {
  const [limit, before] = [query.get("limit"), query.get("before")];
  return {
    filter: query.get("filter") ?? "",
    ...(limit !== null && { limit: idOf(limit) }),
    ...(before !== null && { before: idOf(before) }),
  };
}

function objectOf(body: unknown): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw invalid("the request's body is no JSON object", "send one, as content-type: application/json");
  return body as Record<string, unknown>;
}

/** A value that was shown masked and came back so is the one that was captured. */
function editOf(given: unknown, original: Exchange): ReplayEdit {
  const { method, path, headers, body, messages } = objectOf(given);
  for (const [name, value] of Object.entries({ method, path, body }))
    if (value !== undefined && typeof value !== "string")
      throw invalid(`\`edit.${name}\` must be text`, "leave it out to send what was captured");
  const isPair = (pair: unknown): pair is [string, string] =>
    Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string");
  if (headers !== undefined && !(Array.isArray(headers) && headers.every(isPair)))
    throw invalid("`edit.headers` must be a list of pairs", 'as in [["x-user", "alice"]]');
  const unmasked = (headers as HeaderList | undefined)?.map(([name, value], at): readonly [string, string] => {
    if (!value.includes(MASK)) return [name, value];
    const same = original.requestHeaders.filter(([each]) => each.toLowerCase() === name.toLowerCase());
    const nth = (headers as HeaderList).slice(0, at).filter(([each]) => each.toLowerCase() === name.toLowerCase()).length;
    return [name, same[nth]?.[1] ?? value];
  });
  return {
    ...(typeof method === "string" && { method }),
    ...(typeof path === "string" && { path }),
    ...(unmasked && { headers: unmasked }),
    ...(typeof body === "string" && { body: Buffer.from(body) }),
    ...(messages !== undefined && { body: grpcBody(messagesOf(messages)) }),
  };
}

function messagesOf(given: unknown): Buffer[] {
  const wrong = (): Error =>
    invalid(
      "`edit.messages` must be a list of messages",
      'as in [{"hex": "0a03666f6f"}], [{"base64": "CgNmb28="}] or [{"text": "{}"}]',
    );
  if (!Array.isArray(given)) throw wrong();
  return given.map((each: unknown) => {
    const { hex, base64, text } = objectOf(each);
    if (typeof text === "string") return Buffer.from(text);
    if (typeof hex === "string" && /^(?:\s*[0-9a-fA-F]{2})*\s*$/.test(hex)) return Buffer.from(hex.replace(/\s/g, ""), "hex");
    if (typeof base64 === "string" && /^[\w+/-]*={0,2}$/.test(base64)) return Buffer.from(base64, "base64");
    throw wrong();
  });
}

/** Pictures as such; all else as a file to be saved, so that no browser runs it. */
async function bodyFile(exchange: Exchange, side: "request" | "response"): Promise<NonNullable<ApiAnswer["file"]>> {
  const headers = side === "request" ? exchange.requestHeaders : exchange.responseHeaders;
  const { bytes } = await decodeBody(headers, side === "request" ? exchange.requestBody : exchange.responseBody);
  const type = mediaType(headers);
  return isSafeImage(type) ? { bytes, type } : { bytes, type: "application/octet-stream", name: `${side}-${exchange.id}.bin` };
}
