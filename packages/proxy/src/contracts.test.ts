import assert from "node:assert/strict";
import { once } from "node:events";
import { interceptorContract } from "@shipside/testkit";
import { describe, it } from "vitest";
import { serve } from "./fixtures/incoming.ts";
import { connectLocalPort } from "./local-port.ts";

describe("the local port, where every chain of interceptors ends", () => {
  const cases = interceptorContract({
    name: "local port",
    passes: false,
    async open() {
      const local = await serve((socket) => socket.pipe(socket));
      return {
        interceptor: { name: "local port", connect: (_connection, _next, options) => connectLocalPort(local.port, options) },
        async exchange(caller) {
          caller.write("hello");
          assert.equal(String((await once(caller, "data"))[0]), "hello");
          caller.pause();
        },
        [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
      };
    },
  });
  for (const { name, run } of cases) it(name, run);
});
