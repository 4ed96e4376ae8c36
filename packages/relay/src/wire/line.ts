import type { Duplex } from "node:stream";
import { type RelayErrorCode, relayError } from "../errors.ts";

/** More than any greeting or welcome is long, in bytes. */
const LONGEST_LINE = 4096;

export function writeLine(stream: Duplex, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`);
}

/**
 * The first line of a stream, as JSON. What follows it stays in the stream, which is paused. Rejects with `RELAY_LINK_LOST` where the stream
 * ends, or `ms` pass, before there is one, and with `RELAY_PROTOCOL` where what comes isn't one.
 */
export function readLine(stream: Duplex, ms: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const done = (): void => {
      clearTimeout(timer);
      stream.off("data", onData);
      stream.off("end", onGone);
      stream.off("close", onGone);
      stream.off("error", onError);
      stream.pause();
    };
    const fail = (code: RelayErrorCode, why: string, cause?: unknown): void => {
      done();
      reject(relayError(code, `no greeting on the relay's control port: ${why}`, { cause }));
    };
    // A network that stands still, a relay that goes: the next try may be greeted.
    const timer = setTimeout(() => fail("RELAY_LINK_LOST", `none within ${ms} ms`), ms);
    const onGone = (): void => fail("RELAY_LINK_LOST", "it was closed");
    const onError = (error: Error): void => fail("RELAY_LINK_LOST", error.message, error);
    const onData = (chunk: Buffer): void => {
      const end = chunk.indexOf(10);
      length += end < 0 ? chunk.length : end;
      parts.push(end < 0 ? chunk : chunk.subarray(0, end));
      if (length > LONGEST_LINE) fail("RELAY_PROTOCOL", `a line of more than ${LONGEST_LINE} bytes`);
      if (length > LONGEST_LINE || end < 0) return;
      done();
      if (end + 1 < chunk.length) stream.unshift(chunk.subarray(end + 1));
      try {
        resolve(JSON.parse(Buffer.concat(parts).toString()));
      } catch (cause) {
        fail("RELAY_PROTOCOL", "what came is not JSON", cause);
      }
    };
    stream.on("data", onData);
    stream.on("end", onGone);
    stream.on("close", onGone);
    stream.on("error", onError);
    stream.resume();
  });
}
