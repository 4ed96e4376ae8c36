import { kubeError } from "./errors.ts";
import { type ExecRequest, type OpenExec, OUTCOME, STDERR, STDIN, STDOUT } from "./exec-channels.ts";
import type { Upgraded } from "./portforward/carrier.ts";
import { createSocketPipe } from "./portforward/socket-pipe.ts";
import { createFrameDecoder, createSynStreamEncoder, encodeDataHeader, encodePing } from "./portforward/spdy-codec.ts";
import type { PodUpgrade } from "./upgrade.ts";

/** The newest that is spoken over SPDY; `v5` only adds what SPDY has by itself, the end of a stream. */
const V4 = "v4.channel.k8s.io";
/** Where a proxy lets the upgrade pass and nothing after it, nothing ever comes. */
const ANSWER_MS = 5_000;

/**
 * A stream for each channel. The API server and the kubelet pass its bytes on as they are, where they translate a WebSocket's: on Kubernetes 1.36
 * the kubelet takes less than half the CPU. It begins a round trip later, since the command waits for its streams.
 */
export async function execOverSpdy(upgrade: PodUpgrade, { what, path, stdin, signal }: ExecRequest): Promise<OpenExec> {
  const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": V4 };
  const upgraded = await upgrade({ method: "POST", path, headers, signal });
  const chosen = upgraded.headers["x-stream-protocol-version"];
  if (chosen === V4) return channelsOf(upgraded, stdin !== undefined);
  upgraded.socket.on("error", () => {});
  upgraded.socket.destroy();
  throw kubeError("KUBE_PROTOCOL", `${what}: the server chose ${String(chosen)} where ${V4} was asked for`);
}

/** The first has to be that of the outcome, or older servers take none. */
const STREAMS: ReadonlyArray<readonly [channel: number, type: string]> = [
  [OUTCOME, "error"],
  [STDIN, "stdin"],
  [STDOUT, "stdout"],
  [STDERR, "stderr"],
];

function channelsOf(upgraded: Upgraded, hasInput: boolean): OpenExec {
  return (handler) => {
    let failure: Error | undefined;
    const channels = new Map<number, number>();
    let inputId = 0;
    const answered = (): void => {
      clearTimeout(silence);
      handler.answered();
    };
    const decoder = createFrameDecoder({
      reply: answered,
      data(id, bytes) {
        const channel = channels.get(id);
        if (channel !== undefined) handler.output(channel, bytes);
      },
      ping: (id) => pipe.write(encodePing(id)),
      // How the server ends what is over; that it is told by the outcome, and by the connection's end.
      end() {},
      reset() {},
      goAway() {},
      synStream() {},
    });
    const pipe = createSocketPipe(upgraded, {
      data(chunk) {
        try {
          decoder.push(chunk);
        } catch (error) {
          failure = error as Error;
          pipe.destroy();
        }
      },
      flushed: handler.flushed,
      closed(cause) {
        clearTimeout(silence);
        handler.closed(failure ?? cause);
      },
    });
    const silence = setTimeout(() => pipe.destroy(), ANSWER_MS);
    const encoder = createSynStreamEncoder();
    let nextId = 1;
    for (const [channel, type] of STREAMS) {
      const isInput = channel === STDIN;
      if (isInput && !hasInput) continue;
      if (isInput) inputId = nextId;
      else channels.set(nextId, channel);
      // Our half of the others is closed from the start: nothing is ever written there.
      pipe.write(encoder.encode(nextId, { streamtype: type }, !isInput));
      nextId += 2;
    }
    return {
      get backlog() {
        return pipe.backlog;
      },
      input(bytes) {
        pipe.write(encodeDataHeader(inputId, bytes.length, false));
        pipe.write(Buffer.from(bytes));
      },
      endInput: () => pipe.write(encodeDataHeader(inputId, 0, true)),
      pause: pipe.pause,
      resume: pipe.resume,
      destroy: pipe.destroy,
    };
  };
}
