import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { HeaderList } from "../exchange.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Way } from "./way.ts";

/**
 * The same by HTTP/2 with prior knowledge (RFC 9113, 3.3), over TLS where the origin says so, on a connection of its own. A call that streams is sent
 * in one piece: all that its caller had said, and its end.
 */
export function sendHttp2({ method, path, headers, body }: Outgoing, way: Way): Promise<void> {
  const { base, stream, signal } = way;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const session = connect(base, {
    settings: { enablePush: false },
    ...(stream && { createConnection: () => stream }),
  });
  session.on("error", reject);
  session.once("close", () => reject(new Error("the connection ended before the answer")));
  const onAbort = (): void => session.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  else {
    const authority = headers.find(([name]) => name.toLowerCase() === "host")?.[1] ?? base.host;
    const call = session.request(
      [
        ...[":method", method, ":path", path, ":scheme", base.protocol.slice(0, -1), ":authority", authority],
        ...headers.filter(([name]) => name.toLowerCase() !== "host").flatMap(([name, value]) => [name.toLowerCase(), value]),
      ],
      // A body is ended by its own frame, as a call's without a message too.
      { endStream: false },
    );
    call.on("error", reject);
    call.once("finish", way.onSent);
    call.once("response", (head) => way.onAnswer({ status: head[":status"] ?? 0, statusText: "", headers: listOf(head) }));
    call.once("trailers", (trailers) => way.onTrailers(listOf(trailers)));
    call.on("data", way.onBody);
    call.once("close", () => {
      if (call.rstCode === constants.NGHTTP2_NO_ERROR) resolve();
      else reject(new Error(`the server took it back (code ${call.rstCode} of HTTP/2)`));
    });
    call.end(body);
  }
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    session.destroy();
  });
}

/** Without what begins with a colon; several of one name one by one. */
function listOf(headers: IncomingHttpHeaders): HeaderList {
  return Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith(":") || value === undefined ? [] : [value].flat().map((each) => [name, String(each)] as const),
  );
}
