import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { inspectorError } from "../errors.ts";

/** A name of its own for each port: cookies are shared by all ports of a host. */
export const cookieName = (port: number): string => `shipside-inspector-${port}`;

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compared in a time that tells nothing. */
export const isToken = (token: string, given: string): boolean => timingSafeEqual(hash(token), hash(given));

/**
 * Throws `INSPECTOR_FORBIDDEN` for a request under another name than this machine's own (DNS rebinding), or one that another site's page
 * made (CSRF; Fetch Metadata where the browser sends it).
 */
export function checkOrigin(headers: IncomingHttpHeaders, port: number, method: string): void {
  const hosts = [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`];
  const { host = "", origin } = headers;
  const refuse = (why: string): Error =>
    inspectorError("INSPECTOR_FORBIDDEN", `the inspector doesn't answer ${why}`, { hint: `open it as http://localhost:${port}` });
  if (!hosts.includes(host.toLowerCase())) throw refuse(`as ${JSON.stringify(host.slice(0, 100))}`);
  if (origin !== undefined && origin !== `http://${host.toLowerCase()}`)
    throw refuse(`pages of ${JSON.stringify(origin.slice(0, 100))}`);
  const site = headers["sec-fetch-site"];
  const isOpening = method === "GET" && headers["sec-fetch-mode"] === "navigate";
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isOpening) throw refuse("other sites");
}

/** Throws `INSPECTOR_UNAUTHORIZED` without the token, as `Authorization: Bearer …` or in the cookie. */
export function checkToken(headers: IncomingHttpHeaders, port: number, token: string): void {
  const bearer = /^Bearer (\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const prefix = `${cookieName(port)}=`;
  const cookie = (headers.cookie ?? "")
    .split(";")
    .map((each) => each.trim())
    .find((each) => each.startsWith(prefix))
    ?.slice(prefix.length);
  if ([bearer, cookie].some((given) => given !== undefined && isToken(token, given))) return;
  throw inspectorError("INSPECTOR_UNAUTHORIZED", "the inspector was asked without its token", {
    hint: "open the link that was printed when it started: the token is in it",
  });
}
