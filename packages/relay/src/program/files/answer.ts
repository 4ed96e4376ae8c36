import { relayError } from "../../errors.ts";
import { acceptConnect, refuseConnect } from "../../wire/connect.ts";
import type { Asked } from "../../wire/mux.ts";
import { serveFiles } from "./serve.ts";

/** Answers a connection to `FILES_AUTHORITY` with an SFTP session. */
export function answerFiles(asked: Asked, roots: readonly string[]): void {
  if (roots.length > 0) void serveFiles(acceptConnect(asked), { roots });
  else refuseConnect(asked, relayError("DIAL_REFUSED", "this relay has no volumes to serve"));
}
