import { StringDecoder } from "node:string_decoder";
import type { Message } from "../exchange.ts";
import { LONGEST_TEXT } from "./message-text.ts";

/** Reads an event stream (WHATWG HTML, 9.2.6) as it comes; a message's text is the event as it was sent, line by line. */
export function createEventStreamReader(onMessage: (message: Pick<Message, "kind" | "bytes" | "text">) => void): {
  push(bytes: Uint8Array): void;
} {
  const decoder = new StringDecoder("utf8");
  let text = "";
  let skipped = 0;
  return {
    push(bytes) {
      text += decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      for (;;) {
        const end = /\r\n\r\n|\n\n|\r\r/.exec(text);
        if (!end) break;
        const event = text.slice(0, end.index);
        text = text.slice(end.index + end[0].length);
        if (event !== "" || skipped > 0)
          onMessage({ kind: "event", bytes: Buffer.byteLength(event) + skipped, text: event.slice(0, LONGEST_TEXT) });
        skipped = 0;
      }
      // An event without end must not grow here; its first part is what is shown.
      if (text.length > 4 * LONGEST_TEXT) {
        skipped += text.length - 4 * LONGEST_TEXT;
        text = text.slice(0, 4 * LONGEST_TEXT - 4) + text.slice(-4);
      }
    },
  };
}
