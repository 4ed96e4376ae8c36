import type { Message } from "../exchange.ts";

/** Characters kept of one message. */
export const LONGEST_TEXT = 4096;

/** A message's bytes as text, cut. Bytes that are no text are shown as hex. */
export function messageText(kind: Message["kind"], bytes: Buffer): string {
  if (kind === "binary" || kind === "ping" || kind === "pong") return bytes.toString("hex", 0, LONGEST_TEXT / 2);
  return bytes.toString("utf8", 0, LONGEST_TEXT).slice(0, LONGEST_TEXT);
}
