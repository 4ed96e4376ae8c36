import { writeSync } from "node:fs";
import { readByLoop, readByThreads, type Take } from "./device-readers.ts";
import type { Asker } from "./file-system.ts";
import { REQUEST_ROOM } from "./protocol.ts";
import { parseRequest, type Request } from "./requests.ts";

/** Answers a request, which is a view that holds for this moment. */
export type Serve = (request: Request, asker: Asker) => unknown;

/** The kernel's end of a mount. */
export interface Device {
  /** An answer, or a notice. Takes the bytes at once. */
  write(bytes: Buffer): void;
  /** Reads requests and writes their answers. Resolves when the mount is gone. */
  serve(serve: Serve): Promise<void>;
}

/** Of `/dev/fuse`, open. */
export function createDevice(fd: number): Device {
  const free: Buffer[] = [];
  const room = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(REQUEST_ROOM);
  const write = (bytes: Buffer): void => {
    try {
      writeSync(fd, bytes);
    } catch {
      // Nobody waits for it any more, or the mount is gone, which the next read will say.
    }
  };
  return {
    write,
    async serve(serve) {
      const take: Take = (buffer, length) => {
        let kept = false;
        serve(parseRequest(buffer.subarray(0, length)), {
          respond: write,
          keep() {
            kept = true;
            return () => void free.push(buffer);
          },
        });
        return kept ? room() : buffer;
      };
      await (readByLoop(fd, room, take) ?? readByThreads(fd, room, take));
    },
  };
}
