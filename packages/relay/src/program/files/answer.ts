import { relayError } from "../../errors.ts";
import { acceptConnect, refuseConnect } from "../../wire/connect.ts";
import type { Asked } from "../../wire/mux.ts";
import { serveFiles } from "./serve.ts";

export interface AnswerFilesOptions {
  roots: readonly string[];
  /** How long the link may be silent until whoever asked has given up, in ms. */
  silenceMs: number | undefined;
}

/** Of its silence the other end may have heard only after a ping's time, and it is looked for as seldom. */
const SOONER_MS = 2_000;

/** Answers a connection to `FILES_AUTHORITY` with an SFTP session. */
export function answerFiles(asked: Asked, { roots, silenceMs = 10_000 }: AnswerFilesOptions): void {
  if (roots.length > 0) void serveFiles(acceptConnect(asked), { roots, patienceMs: silenceMs - SOONER_MS });
  else refuseConnect(asked, relayError("DIAL_REFUSED", "this relay has no volumes to serve"));
}
