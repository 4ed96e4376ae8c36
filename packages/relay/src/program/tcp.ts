import type { Socket } from "node:net";
import { codeOf, resetStream } from "@shipside/core";
import { dialBackend } from "./backend.ts";
import { byteSource } from "./byte-source.ts";
import { tunnel } from "./tunnel.ts";
import { openDeveloper, type PortContext } from "./upstream.ts";

/** A connection as a whole: to who takes everything of the port, else to the real pods. Never rejects. */
export async function serveConnection(
  socket: Socket,
  context: PortContext,
  { peer, first }: { peer: { address: string; port: number }; first?: Buffer },
): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  socket.once("close", onClose);
  const source = byteSource(socket, first);
  const info = { port: context.port.port, peer: `${peer.address.includes(":") ? `[${peer.address}]` : peer.address}:${peer.port}` };
  try {
    const held = context.leases.whole(context.port.port);
    const developer = held && (await openDeveloper(context, held, info, gone.signal));
    const stream = developer ?? (await dialBackend(context, info, gone.signal));
    await tunnel({ stream: socket, source }, { stream, source: byteSource(stream) });
  } catch (error) {
    if (!gone.signal.aborted) context.logger.warn("a connection found nobody", { port: context.port.port, code: codeOf(error) });
    resetStream(socket);
  }
}
