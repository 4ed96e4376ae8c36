import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type Duplex, duplexPair, PassThrough } from "node:stream";
import { abortError, type Interceptor } from "@shipside/core";
import { describe, expect, it, test } from "vitest";
import { type InterceptorSubject, interceptorContract } from "./interceptor.ts";

const subject = (interceptor: Interceptor, exchange: InterceptorSubject["exchange"] = echoed): InterceptorSubject => ({
  interceptor,
  exchange,
  [Symbol.asyncDispose]: async () => {},
});

async function echoed(caller: Duplex): Promise<void> {
  caller.write("hello");
  const [chunk] = await once(caller, "data");
  assert.equal(String(chunk), "hello");
  caller.pause();
}

const passing: Interceptor = {
  name: "passing",
  async connect(_connection, next, { signal }) {
    signal.throwIfAborted();
    return next();
  },
};

/** Answers HTTP in the local process's place. */
function answering(): Interceptor {
  const server = createServer((_request, response) => response.end("mocked"));
  return {
    name: "answering",
    async connect(_connection, _next, { signal }) {
      if (signal.aborted) throw abortError(signal);
      const [ours, theirs] = duplexPair({ allowHalfOpen: true });
      server.emit("connection", theirs);
      return ours;
    },
  };
}

async function asked(caller: Duplex): Promise<void> {
  caller.write("GET / HTTP/1.1\r\nHost: core\r\n\r\n");
  let text = "";
  while (!text.endsWith("mocked")) text += String((await once(caller, "data"))[0]);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  caller.pause();
}

describe("one that lets through keeps the contract", () => {
  for (const { name, run } of interceptorContract({ open: async () => subject(passing) })) it(name, run);
});

describe("one that answers keeps the contract", () => {
  for (const { name, run } of interceptorContract({ passes: false, open: async () => subject(answering(), asked) })) it(name, run);
});

const failing = async (interceptor: Interceptor): Promise<string[]> => {
  const failed: string[] = [];
  for (const { name, run } of interceptorContract({ name: "x", open: async () => subject(interceptor) }))
    await run().catch(() => failed.push(name.slice(3)));
  return failed;
};

test("one that hides refusals, and doesn't look at the signal, is found out", async () => {
  const hiding: Interceptor = {
    name: "hiding",
    connect: (_connection, next) => next().catch(() => Promise.reject(new Error("something went wrong"))),
  };
  expect(await failing(hiding)).toEqual([
    "a signal that has fired: it rejects, and opens nothing",
    "what is behind refuses: so does it, with the same code, and works again after",
  ]);
}, 60_000);

test("one that copies by hand without caring for half-open, resets and slow readers is found out", async () => {
  const careless: Interceptor = {
    name: "careless",
    async connect(_connection, next, { signal }) {
      signal.throwIfAborted();
      const [ours, theirs] = duplexPair({ allowHalfOpen: false });
      const local = await next();
      theirs.on("data", (chunk) => void local.write(chunk));
      // Takes whatever comes, into a buffer without bounds.
      const held = new PassThrough({ highWaterMark: 1 << 30 });
      local.on("data", (chunk) => held.write(chunk));
      held.pipe(theirs);
      return ours;
    },
  };
  expect(await failing(careless)).toEqual([
    "half-open is allowed: our end doesn't end theirs",
    "destroying it closes what it opened",
    "a reset behind it is an error, ECONNRESET",
    "a caller that doesn't read holds what is behind back",
  ]);
}, 60_000);
