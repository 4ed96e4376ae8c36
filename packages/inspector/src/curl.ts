import { inspectorError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { isCarried, isToken, maskHeaders } from "./headers.ts";
import { urlOf } from "./url.ts";

/** One word of a POSIX shell that stands for `text`, whatever is in it. */
export const shellWord = (text: string): string => (/^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Bodies that a command line can carry as they are: no NUL, and the same after a trip through UTF-8. */
function asText(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString("utf8");
  return !text.includes("\0") && Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}

/**
 * A command for a POSIX shell that sends the request again, byte for byte but for the framing: curl adds nothing, globs nothing, reads no
 * file that a value seems to name. What is masked stays so unless `reveal`; a body that was cut is sent as far as it was kept.
 */
export function toCurl(exchange: Exchange, { reveal = false }: { reveal?: boolean } = {}): string {
  if (exchange.httpVersion === "")
    throw inspectorError("INSPECTOR_REPLAY_INVALID", `${exchange.id} is a connection of ${exchange.method}, and no request`, {
      hint: "curl is for requests",
    });
  const headers = reveal ? exchange.requestHeaders : maskHeaders(exchange.requestHeaders);
  const { kept } = exchange.requestBody;
  const words = ["curl", "--globoff", "--path-as-is", "--include"];
  if (exchange.httpVersion === "2") words.push("--http2-prior-knowledge");
  if (exchange.method === "HEAD") words.push("--head");
  else if (exchange.method !== (kept.length > 0 ? "POST" : "GET")) words.push("--request", shellWord(exchange.method));
  words.push("--url", shellWord(urlOf(exchange)));
  const header = (text: string): number => words.push("--header", shellWord(text));
  for (const [name, value] of headers) {
    if (!isCarried(exchange.httpVersion, name, value) || name.toLowerCase() === "host" || !isToken(name)) continue;
    // A header without a value would take curl's own away; with a semicolon it is sent empty.
    header(value === "" ? `${name};` : `${name}: ${Buffer.from(value, "latin1").toString("utf8")}`);
  }
  // What curl sends by itself, and the request did not.
  for (const name of ["user-agent", "accept", ...(kept.length > 0 ? ["content-type"] : [])])
    if (headerOf(headers, name) === undefined) header(`${name}:`);
  if (kept.length === 0) return words.join(" ");
  const text = asText(kept);
  if (text !== undefined && text.length < 100_000) return [...words, "--data-raw", shellWord(text)].join(" ");
  return `base64 -d <<'EOF' | ${[...words, "--data-binary", "@-"].join(" ")}\n${Buffer.from(kept).toString("base64").replace(/.{76}/g, "$&\n")}\nEOF`;
}
