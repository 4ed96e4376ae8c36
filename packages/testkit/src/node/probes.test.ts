import { Readable, Writable } from "node:stream";
import { expect, it } from "vitest";
import { type ProbeReach, runProbe } from "./probes.ts";
import type { ExecProcess } from "./runtime.ts";

/** A probe whose runs end as told, and then never again. */
async function results(codes: number[], probe: object, initially: boolean): Promise<{ changes: boolean[]; failures: number }> {
  const stop = new AbortController();
  const left = [...codes];
  const changes: boolean[] = [];
  let failures = 0;
  const reach: ProbeReach = {
    podIP: "127.0.0.1",
    port: Number,
    dial: () => Promise.reject(new Error("not here")),
    async exec() {
      const code = left.shift();
      if (left.length === 0) setImmediate(() => stop.abort());
      const none = (): Readable => Readable.from([]);
      return { stdin: new Writable(), stdout: none(), stderr: none(), exited: Promise.resolve(code), kill() {} } as ExecProcess;
    },
  };
  await runProbe({
    probe: { exec: { command: ["x"] }, periodSeconds: 0.001, ...probe },
    reach,
    initially,
    signal: stop.signal,
    onChange: (ok) => changes.push(ok),
    onFailure: () => failures++,
  });
  return { changes, failures };
}

it("changes its result only after as many results in a row as the thresholds say", async () => {
  expect(await results([0, 1, 1, 0, 1, 1, 1, 0, 0], { failureThreshold: 3, successThreshold: 1 }, false)).toMatchObject({
    changes: [true, false, true],
  });
  expect(await results([0, 1, 0, 0, 0], { successThreshold: 2 }, false)).toMatchObject({ changes: [true], failures: 1 });
});

it("reports every failed run, and each failure past the threshold again", async () => {
  expect(await results([1, 1, 1, 1], { failureThreshold: 3 }, true)).toEqual({ changes: [false, false], failures: 4 });
});
