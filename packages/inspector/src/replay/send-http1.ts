import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { headerOf } from "../exchange.ts";
import type { Outgoing } from "./outgoing.ts";
import { pairs, type Way } from "./way.ts";

/** Resolves when the answer is over. Rejects with Node's error, or one that says what the answer was instead. */
export function sendHttp1({ method, path, headers, body }: Outgoing, way: Way): Promise<void> {
  const { base, stream, signal } = way;
  return new Promise((resolve, reject) => {
    const bodiless = body.length === 0 && (method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE");
    const flat = headers.flat();
    if (headerOf(headers, "host") === undefined) flat.push("host", base.host);
    if (!bodiless) flat.push("content-length", String(body.length));
    const request = (base.protocol === "https:" ? httpsRequest : httpRequest)({
      host: base.hostname.replace(/^\[|\]$/g, ""),
      port: base.port || (base.protocol === "https:" ? 443 : 80),
      method,
      path,
      headers: flat,
      ...(stream ? { createConnection: () => stream } : { agent: false }),
      signal,
    });
    request.on("error", reject);
    request.once("finish", way.onSent);
    request.once("upgrade", (_answer, socket) => {
      socket.destroy();
      reject(new Error("the answer leads to another protocol"));
    });
    request.once("response", (response) => {
      way.onAnswer({
        status: response.statusCode ?? 0,
        statusText: response.statusMessage ?? "",
        headers: pairs(response.rawHeaders),
      });
      response.on("data", way.onBody);
      response.on("error", reject);
      response.once("end", () => {
        if (response.rawTrailers.length > 0) way.onTrailers(pairs(response.rawTrailers));
        resolve();
      });
      response.once("close", () => reject(new Error("the answer broke off")));
    });
    request.end(body);
  });
}
