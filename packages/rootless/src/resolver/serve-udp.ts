import type { Socket } from "node:dgram";

/** Answers each datagram with what `respond` gives, if anything. The socket stays its maker's. */
export function serveUdp(socket: Socket, respond: (query: Buffer) => Promise<Uint8Array | undefined>): void {
  let open = true;
  socket.on("close", () => (open = false));
  socket.on("message", async (query, from) => {
    const answer = await respond(query);
    // One that can't be sent is lost, as on any network.
    if (answer && open) socket.send(answer, from.port, from.address, () => {});
  });
}
