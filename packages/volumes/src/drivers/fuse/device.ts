import { writeSync } from "node:fs";
import { readByLoop, readByThreads, type Take } from "./device-readers.ts";
import type { Asker } from "./file-system.ts";
import { REQUEST_ROOM } from "./protocol.ts";
import { parseRequest, type Request } from "./requests.ts";

/** The kernel's end of a mount: `/dev/fuse`, open. */
export interface DeviceOptions {
  fd: number;
  /** Answers a request, which is a view that holds for this moment. */
  serve(request: Request, asker: Asker): unknown;
}

/** Reads requests and writes their answers. Resolves when the mount is gone. */
export async function serveDevice({ fd, serve }: DeviceOptions): Promise<void> {
  const free: Buffer[] = [];
  const room = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(REQUEST_ROOM);
  const respond = (reply: Buffer): void => {
    try {
      writeSync(fd, reply);
    } catch {
      // Nobody waits for it any more, or the mount is gone, which the next read will say.
    }
  };
  const take: Take = (buffer, length) => {
    let kept = false;
    serve(parseRequest(buffer.subarray(0, length)), {
      respond,
      tell: respond,
      keep() {
        kept = true;
        return () => void free.push(buffer);
      },
    });
    return kept ? room() : buffer;
  };
  await (readByLoop(fd, room, take) ?? readByThreads(fd, room, take));
}
