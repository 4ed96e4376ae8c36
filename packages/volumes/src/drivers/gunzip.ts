import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { volumesError } from "../errors.ts";

/** Takes bytes as they come. What it throws, or rejects with, is what went wrong; it must not be used after that. */
export interface ByteSink {
  /** The bytes are the caller's again once it returned. Where it returns a promise, no more should come until that resolves. */
  push(bytes: Buffer): void | Promise<void>;
  /** All has come. */
  finish(): void | Promise<void>;
}

/** RFC 1952, 2.3.1. The first byte of a tar archive is that of a name. */
const GZIP_ID1 = 0x1f;

/** Gives `sink` what comes, or what that stands for where it begins as gzip does. Rejects with `VOLUMES_ARCHIVE_INVALID` where it is damaged. */
export function maybeGunzip(sink: ByteSink): ByteSink & AsyncDisposable {
  let plain: ByteSink | undefined;
  let gunzip: (ByteSink & AsyncDisposable) | undefined;
  return {
    push(bytes) {
      if (bytes.length === 0) return;
      plain ??= bytes[0] === GZIP_ID1 ? (gunzip = gunzipInto(sink)) : sink;
      return plain.push(bytes);
    },
    finish: () => (plain ?? sink).finish(),
    async [Symbol.asyncDispose]() {
      await gunzip?.[Symbol.asyncDispose]();
    },
  };
}

function gunzipInto(sink: ByteSink): ByteSink & AsyncDisposable {
  const gunzip = createGunzip();
  let refusal: { error: unknown } | undefined;
  const passed = pipeline(gunzip, async (plain: AsyncIterable<Buffer>) => {
    for await (const bytes of plain) {
      try {
        await sink.push(bytes);
      } catch (error) {
        refusal = { error };
        throw error;
      }
    }
  }).catch((cause: Error) => {
    throw refusal
      ? refusal.error
      : volumesError("VOLUMES_ARCHIVE_INVALID", `the archive came damaged: ${cause.message}`, { cause });
  });
  passed.catch(() => {});
  return {
    push(bytes) {
      if (gunzip.destroyed) return passed;
      // A copy: a thread reads it, later.
      if (gunzip.write(Buffer.from(bytes))) return;
      return Promise.race([passed, once(gunzip, "drain").then(() => {})]);
    },
    async finish() {
      gunzip.end();
      await passed;
      await sink.finish();
    },
    async [Symbol.asyncDispose]() {
      gunzip.destroy();
      await passed.catch(() => {});
    },
  };
}
