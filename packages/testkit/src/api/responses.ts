import { randomUUID } from "node:crypto";
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Status } from "./status.ts";

export function send(response: ServerResponse, code: number, body: Buffer | string, contentType = "application/json"): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(code, {
    "audit-id": randomUUID(),
    "cache-control": "no-cache, private",
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

export function sendStatus(response: ServerResponse, status: Status): void {
  if (status.code === 401) response.setHeader("www-authenticate", 'Bearer realm="kubernetes-api"');
  const seconds = status.details?.retryAfterSeconds;
  // Only where the status says so: kubectl would wait in silence instead of showing what was refused.
  if (seconds) response.setHeader("retry-after", String(seconds));
  send(response, status.code, `${JSON.stringify(status)}\n`);
}

/** The answer to an upgrade that isn't to be. */
export function refuseUpgrade(socket: Duplex, status: Status): void {
  const body = `${JSON.stringify(status)}\n`;
  socket.end(
    `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? ""}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
