import type { TappedConnection } from "@shipside/core";
import type { ConnectionFacts } from "../exchange.ts";
import type { Store } from "../store.ts";
import { createConnectionReader } from "./connection-reader.ts";
import type { WorkQueue } from "./queue.ts";

export interface CaptureCounts {
  /** Connections that were looked at. */
  connections: number;
  /** Bytes that passed, read or not. */
  bytes: number;
  /** Bytes that were not looked at because too much waited. */
  droppedBytes: number;
  /** Times that happened. */
  drops: number;
  /** Connections whose bytes are no HTTP/1, by what was found. */
  unread: number;
}

export interface Capture {
  readonly counts: Readonly<CaptureCounts>;
  /** Looks on at a connection. What the returned functions cost the traffic is a push on a queue. */
  connection(facts: ConnectionFacts): TappedConnection;
}

export function createCapture(store: Store, queue: WorkQueue): Capture {
  const counts: CaptureCounts = { connections: 0, bytes: 0, droppedBytes: 0, drops: 0, unread: 0 };
  return {
    counts,
    connection(facts) {
      counts.connections++;
      const reader = createConnectionReader(facts, store, () => counts.unread++);
      let behind = false;
      let failed = false;
      /** What goes wrong with looking on ends that, and is nobody else's concern. */
      const guarded = (work: () => void) => (): void => {
        if (failed) return;
        try {
          work();
        } catch {
          failed = true;
          counts.unread++;
        }
      };
      return {
        data(direction, chunk) {
          const at = Date.now();
          counts.bytes += chunk.length;
          if (
            queue.push(
              chunk.length,
              guarded(() => reader.data(direction, chunk, at)),
            )
          ) {
            behind = false;
            return;
          }
          counts.droppedBytes += chunk.length;
          counts.drops++;
          // Once a gap: what comes before it in the queue is still whole.
          if (!behind) queue.pushAlways(guarded(() => reader.gap()));
          behind = true;
        },
        end(direction) {
          const at = Date.now();
          queue.pushAlways(guarded(() => reader.end(direction, at)));
        },
        close(error) {
          const at = Date.now();
          queue.pushAlways(guarded(() => reader.close(error, at)));
        },
      };
    },
  };
}
