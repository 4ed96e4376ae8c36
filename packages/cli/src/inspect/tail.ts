import { request } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { type ErrorJson, errorFromJson } from "@shipside/core";

/** What a line is made of: a `Summary` of the inspector's API. */
export interface TailedRequest {
  id: number;
  /** ms since 1970. */
  startedAt: number;
  method: string;
  path: string;
  host: string;
  status: number | null;
  state: "open" | "done" | "failed";
  duration: number | null;
  responseBytes: number;
  replayOf: number | null;
  direction: "incoming" | "outgoing";
  service: string;
  caller: string;
  route: string;
  /** As in `5 NOT_FOUND`; "" for what is no call of gRPC. */
  grpcStatus: string;
}

export interface TailOptions {
  port: number;
  token: string;
  filter: string;
  signal: AbortSignal;
  /** It listens: what comes from now on is told. */
  onOpen(): void;
  /** One that is over. */
  onRequest(request: TailedRequest): void;
  /** What could not be looked at, since the beginning. */
  onDropped(bytes: number): void;
}

/**
 * Follows an inspector's events until it ends or `signal` fires. Rejects with the inspector's own error, as `INSPECTOR_FILTER_INVALID`, and with Node's
 * where it can't be reached.
 */
export function tail({ port, token, filter, signal, onOpen, onRequest, onDropped }: TailOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `/api/events?${new URLSearchParams({ filter })}`;
    const asked = request({ host: "127.0.0.1", port, path, agent: false, signal, headers: { authorization: `Bearer ${token}` } });
    asked.on("error", (error) => (signal.aborted ? resolve() : reject(error)));
    asked.once("response", (response) => {
      const decoder = new StringDecoder("utf8");
      let text = "";
      const began = Date.now();
      const told = new Set<number>();
      let dropped = 0;
      if (response.statusCode === 200) onOpen();
      response.on("data", (chunk: Buffer) => {
        text += decoder.write(chunk);
        if (response.statusCode !== 200) return;
        const events = text.split("\n\n");
        text = events.pop()!;
        for (const event of events) {
          const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
          if (name !== "batch") continue;
          const batch = JSON.parse(data!) as { changed: TailedRequest[]; stats: { droppedBytes: number } };
          for (const one of batch.changed) {
            // A pin, or a name that was found out late, is no news of it.
            if (one.state === "open" || told.has(one.id) || (one.startedAt < began && endOf(one) < began)) continue;
            remember(told, one.id);
            onRequest(one);
          }
          if (batch.stats.droppedBytes > dropped) onDropped((dropped = batch.stats.droppedBytes));
        }
      });
      response.once("end", () => {
        if (response.statusCode === 200) return resolve();
        const { error } = JSON.parse(text) as { error: ErrorJson };
        reject(errorFromJson(error));
      });
      // An inspector that closes breaks its connections off.
      response.on("error", () => resolve());
    });
    asked.end();
  });
}

const endOf = ({ startedAt, duration }: TailedRequest): number => startedAt + (duration ?? 0);

function remember(told: Set<number>, id: number): void {
  told.add(id);
  if (told.size > 20_000) for (const oldest of [...told].slice(0, 10_000)) told.delete(oldest);
}
