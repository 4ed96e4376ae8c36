import { decodeBody } from "./decode/content.ts";
import { type Exchange, type HeaderList, headerOf } from "./exchange.ts";
import { maskHeaders } from "./headers.ts";
import { urlOf } from "./url.ts";

export interface HarOptions {
  /** With what is masked otherwise. */
  reveal?: boolean;
}

interface NamedValue {
  name: string;
  value: string;
}

export interface Har {
  log: { version: "1.2"; creator: { name: string; version: string; comment: string }; entries: HarEntry[] };
}

export interface HarEntry {
  startedDateTime: string;
  /** ms. */
  time: number;
  request: {
    method: string;
    url: string;
    httpVersion: string;
    cookies: NamedValue[];
    headers: NamedValue[];
    queryString: NamedValue[];
    headersSize: number;
    bodySize: number;
    /** `_encoding` is ours: the format has none for what is sent. */
    postData?: { mimeType: string; text: string; params: never[]; _encoding?: "base64"; comment?: string };
  };
  response: {
    status: number;
    statusText: string;
    httpVersion: string;
    cookies: NamedValue[];
    headers: NamedValue[];
    content: { size: number; mimeType: string; text?: string; encoding?: "base64"; comment?: string };
    redirectURL: string;
    headersSize: number;
    bodySize: number;
  };
  cache: Record<string, never>;
  timings: { send: number; wait: number; receive: number };
  comment: string;
}

/** HTTP Archive 1.2, which browsers' tools open. Bodies are decoded; what is no UTF-8 is base64. */
export async function toHar(exchanges: readonly Exchange[], { reveal = false }: HarOptions = {}): Promise<Har> {
  const entries: HarEntry[] = [];
  // An archive is of requests; the summary of another protocol's connection is none.
  for (const exchange of exchanges) if (exchange.httpVersion !== "") entries.push(await entryOf(exchange, reveal));
  const comment = reveal ? "" : "secret headers are masked";
  return { log: { version: "1.2", creator: { name: "shipside", version: "1", comment }, entries } };
}

async function entryOf(exchange: Exchange, reveal: boolean): Promise<HarEntry> {
  const { timings, requestBody, responseBody } = exchange;
  const request = reveal ? exchange.requestHeaders : maskHeaders(exchange.requestHeaders);
  const response = reveal ? exchange.responseHeaders : maskHeaders(exchange.responseHeaders);
  const url = urlOf(exchange).replaceAll("#", "%23");
  const version = `HTTP/${exchange.httpVersion}`;
  const sent = timings.sent ?? timings.answered ?? timings.done ?? 0;
  const answered = Math.max(sent, timings.answered ?? timings.done ?? sent);
  const done = Math.max(answered, timings.done ?? answered);
  const { size: _size, encoding, ...asked } = await contentOf(exchange.requestHeaders, requestBody);
  const answer = await contentOf(exchange.responseHeaders, responseBody);
  return {
    startedDateTime: new Date(exchange.startedAt).toISOString(),
    time: done,
    request: {
      method: exchange.method,
      url,
      httpVersion: version,
      cookies: cookiesOf(headerOf(request, "cookie")),
      headers: named(request),
      queryString: queryOf(url),
      headersSize: -1,
      bodySize: requestBody.bytes,
      ...(requestBody.bytes > 0 && {
        postData: {
          mimeType: headerOf(request, "content-type") ?? "",
          params: [],
          ...asked,
          ...(encoding && { _encoding: encoding }),
        },
      }),
    },
    response: {
      status: exchange.status ?? 0,
      statusText: exchange.statusText,
      httpVersion: version,
      cookies: response.flatMap(([name, value]) => (name.toLowerCase() === "set-cookie" ? cookiesOf(value.split(";")[0]) : [])),
      headers: named(response),
      content: { mimeType: headerOf(response, "content-type") ?? "", ...answer },
      redirectURL: headerOf(response, "location") ?? "",
      headersSize: -1,
      bodySize: responseBody.bytes,
    },
    cache: {},
    timings: { send: sent, wait: answered - sent, receive: done - answered },
    comment: exchange.note ?? "",
  };
}

/** `size`: of the decoded body; of one that was cut, or can't be decoded, as it was sent. */
async function contentOf(
  headers: HeaderList,
  body: Exchange["requestBody"],
): Promise<{ size: number; text: string; encoding?: "base64"; comment?: string }> {
  const { bytes, note } = await decodeBody(headers, body);
  const facts = note === undefined ? { size: bytes.length } : { size: body.bytes, comment: note };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), ...facts };
  } catch {
    return { text: Buffer.from(bytes).toString("base64"), encoding: "base64", ...facts };
  }
}

const named = (headers: HeaderList): NamedValue[] => headers.map(([name, value]) => ({ name, value }));

const queryOf = (url: string): NamedValue[] =>
  URL.canParse(url) ? [...new URL(url).searchParams].map(([name, value]) => ({ name, value })) : [];

function cookiesOf(text = ""): NamedValue[] {
  return text
    .split(";")
    .map((each) => each.trim())
    .filter(Boolean)
    .map((each) => {
      const equals = each.indexOf("=");
      return equals < 0 ? { name: "", value: each } : { name: each.slice(0, equals), value: each.slice(equals + 1) };
    });
}
