import { once } from "node:events";
import type { Duplex } from "node:stream";
import { confineTo } from "./confine.ts";
import { frameReader } from "./frames.ts";
import { createHandles } from "./handles.ts";
import { fileOperations } from "./operations.ts";
import { BadFrame, isInit, parseRequest, versionReply } from "./sftp.ts";

export interface ServeFilesOptions {
  /** Absolute directories; nothing outside of them is served. */
  roots: readonly string[];
}

/**
 * Serves directories over a stream by SFTP version 3, one request after the other, with the extensions of OpenSSH for fsync, rename, hard
 * links and free space. No more of the stream is read than is being worked on. Resolves when the stream is over and all that was open is
 * closed; a client that breaks the protocol is cut off. Never rejects.
 */
export async function serveFiles(stream: Duplex, { roots }: ServeFilesOptions): Promise<void> {
  const handles = createHandles();
  const operations = fileOperations({ confine: confineTo(roots), handles });
  const frames = frameReader();
  // Stays: a stream that was destroyed may report late.
  stream.on("error", () => {});
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      for (const frame of frames.push(chunk as Buffer)) {
        let reply = isInit(frame) ? versionReply() : operations(parseRequest(frame));
        if (reply instanceof Promise) reply = await reply;
        if (stream.destroyed) return;
        if (!stream.write(reply)) await drained(stream);
      }
    }
    stream.end();
  } catch (error) {
    // A stream that failed is over; what else comes here is a client's doing.
    stream.destroy(error instanceof BadFrame ? error : undefined);
  } finally {
    await handles.closeAll();
  }
}

async function drained(stream: Duplex): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([once(stream, "drain", over), once(stream, "close", over)]);
  } finally {
    over.abort();
  }
}
