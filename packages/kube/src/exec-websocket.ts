import { hasCode } from "@shipside/core";
import { kubeError } from "./errors.ts";
import { type ExecRequest, type OpenExec, STDIN } from "./exec-channels.ts";
import type { Upgraded } from "./portforward/carrier.ts";
import { webSocketHandshake } from "./portforward/websocket.ts";
import { createWebSocketPipe } from "./portforward/websocket-pipe.ts";
import type { PodUpgrade } from "./upgrade.ts";

/** `v5` only: the next byte names the channel that ends. */
const END_OF = 255;
const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";

/** Each message's first byte names its channel (KEP-4006). */
export async function execOverWebSocket(upgrade: PodUpgrade, { what, path, stdin, signal }: ExecRequest): Promise<OpenExec> {
  const handshake = webSocketHandshake(V5);
  const headers = { ...handshake.headers, "Sec-WebSocket-Protocol": `${V5}, ${V4}` };
  const upgraded = await upgrade({ method: "GET", path, headers, signal });
  try {
    const chosen = upgraded.headers["sec-websocket-protocol"];
    if (stdin instanceof Uint8Array && chosen === V4) {
      throw kubeError("KUBE_EXEC_FAILED", `${what}: this API server can't pass on the end of the input`, {
        hint: "input to a command needs Kubernetes 1.30 or newer",
      });
    }
    handshake.check(chosen === V4 ? { ...upgraded.headers, "sec-websocket-protocol": V5 } : upgraded.headers);
  } catch (cause) {
    upgraded.socket.destroy();
    if (hasCode(cause, "KUBE_EXEC_FAILED")) throw cause;
    throw kubeError("KUBE_PROTOCOL", `${what}: ${(cause as Error).message}`, { cause });
  }
  return channelsOf(upgraded);
}

function channelsOf(upgraded: Upgraded): OpenExec {
  return (handler) => {
    let channel = -1;
    const pipe = createWebSocketPipe(upgraded, {
      payload(chunk, first) {
        handler.answered();
        if (first) channel = chunk[0]!;
        handler.output(channel, first ? chunk.subarray(1) : chunk);
      },
      flushed: handler.flushed,
      closed: handler.closed,
    });
    return {
      get backlog() {
        return pipe.backlog;
      },
      input: (bytes) => pipe.send([Buffer.from([STDIN]), Buffer.from(bytes)]),
      endInput: () => pipe.send([Buffer.from([END_OF, STDIN])]),
      pause: pipe.pause,
      resume: pipe.resume,
      destroy: pipe.destroy,
    };
  };
}
