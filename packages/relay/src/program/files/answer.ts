import type { ServerHttp2Stream } from "node:http2";
import { relayError } from "../../errors.ts";
import { acceptConnect, refuseConnect } from "../../wire/connect.ts";
import { serveFiles } from "./serve.ts";

/** Answers a CONNECT to `FILES_AUTHORITY` with an SFTP session. */
export function answerFiles(stream: ServerHttp2Stream, roots: readonly string[]): void {
  if (roots.length > 0) void serveFiles(acceptConnect(stream), { roots });
  else refuseConnect(stream, relayError("DIAL_REFUSED", "this relay has no volumes to serve"));
}
