import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { parseFilter } from "../filter.ts";
import { createInspector } from "../inspector.ts";
import { type FeedBatch, feed } from "./event-feed.ts";

/** A client whose reading the test decides. */
class Client extends EventEmitter {
  writableLength = 0;
  readonly written: string[] = [];
  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
  end(): void {}
  get batches(): FeedBatch[] {
    return this.written
      .filter((text) => text.startsWith("event: batch"))
      .map((text) => JSON.parse(text.split("data: ")[1]!) as FeedBatch);
  }
}

const turn = (n: number): [Buffer, Buffer] => [
  Buffer.from(`GET /${n} HTTP/1.1\r\n\r\n`),
  Buffer.from(`HTTP/1.1 ${n % 2 ? 200 : 500} X\r\nContent-Length: 0\r\n\r\n`),
];

it("tells each change once in the end, and what no longer fits as removed", async () => {
  await using inspector = createInspector({ budgets: { maxExchanges: 50 } });
  const client = new Client();
  const stop = feed({ inspector, sessions: () => [], filter: parseFilter("status:200") }, client as unknown as ServerResponse);
  const seen = inspector.connection({ direction: "incoming" });
  for (let n = 1; n <= 100; n++) {
    const [asked, answered] = turn(n);
    seen.data!("in", asked);
    seen.data!("out", answered);
  }
  await inspector.settled();
  const known = (): number[] => {
    const ids = new Set<number>();
    for (const { changed, removed } of client.batches) {
      for (const id of removed) ids.delete(id);
      for (const { id } of changed) ids.add(id);
    }
    return [...ids].sort((a, b) => b - a);
  };
  const kept = (await inspector.list({ filter: "status:200" })).map(({ id }) => id);
  await expect.poll(known).toEqual(kept);
  stop();
});

it("sends nothing to a client that doesn't read, and all of it once it does", async () => {
  await using inspector = createInspector();
  const client = new Client();
  client.writableLength = 2 * 1024 * 1024;
  const stop = feed({ inspector, sessions: () => [], filter: parseFilter("") }, client as unknown as ServerResponse);
  const seen = inspector.connection({ direction: "incoming" });
  seen.data!("in", turn(1)[0]);
  await inspector.settled();
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(client.batches).toEqual([]);
  client.writableLength = 0;
  await expect.poll(() => client.batches.flatMap(({ changed }) => changed.map(({ id }) => id))).toEqual([1]);
  stop();
});
