import type { Socket } from "node:net";
import { serveConnection } from "./tcp.ts";
import type { PortContext } from "./upstream.ts";

export const serveHttp2: (
  socket: Socket,
  context: PortContext,
  options: { peer: { address: string; port: number }; first: Buffer },
) => Promise<void> = serveConnection;
