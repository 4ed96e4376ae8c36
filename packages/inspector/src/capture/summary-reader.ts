import type { ConnectionFacts } from "../exchange.ts";
import type { Store } from "../store.ts";
import type { ConnectionReader } from "./connection-reader.ts";
import type { Recognised } from "./protocols.ts";

/** One line for a whole connection of another protocol: which, who, how long, how much. Nothing of what it says is kept. */
export function createSummaryReader(
  { name, about }: Recognised,
  { facts, store, startedAt }: { facts: ConnectionFacts; store: Store; startedAt: number },
): ConnectionReader {
  const exchange = store.add({ connection: facts, startedAt, method: name, path: about, httpVersion: "", requestHeaders: [] });
  return {
    data(direction, bytes) {
      exchange[direction === "in" ? "requestBody" : "responseBody"].bytes += bytes.length;
    },
    end() {},
    close(error, at) {
      const note = error && `the connection broke: ${error.message}`;
      store.settle(exchange, error ? "failed" : "done", Math.max(0, at - startedAt), note);
    },
    gap() {},
  };
}
