import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "@shipside/core";
import { PODS } from "@shipside/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, firstData, open, roundTrip } from "../bench/transport/client.ts";
import { findKubectl, type Peer, startKubectl, startOurs } from "../bench/transport/peers.ts";
import { PROGRAM_PORT } from "../bench/transport/program.ts";
import { type ProgramTarget, startTarget } from "../bench/transport/target.ts";
import { CASES, outcome, SILENT_PORT, type Sizes } from "./portforward/cases.ts";
import { startFront } from "./portforward/front.ts";

/**
 * What may be relied on in a forwarded connection, driven through a process that forwards, as `kubectl port-forward` is one. Runs on
 * the embedded cluster, or on the one of SHIPSIDE_E2E_KUBECONFIG; once by port-forward and once by a relay, which can do more. With
 * SHIPSIDE_KUBECTL=path (or in the soak, where one is on PATH)
 * the same is done through kubectl, and a table shows the difference.
 */
const soak = process.env["SHIPSIDE_SOAK"] === "1";
const MIB = 1024 * 1024;
const sizes: Sizes = soak
  ? { cancels: 200, shortConnections: 5_000, idleConnections: 1_000, bulkBytes: 1024 * MIB }
  : { cancels: 40, shortConnections: 400, idleConnections: 200, bulkBytes: 24 * MIB };

let target: ProgramTarget;

beforeAll(async () => {
  target = await startTarget({ kubeconfig: process.env["SHIPSIDE_E2E_KUBECONFIG"], image: process.env["SHIPSIDE_E2E_NODE_IMAGE"] });
}, 90_000);

afterAll(() => target?.[Symbol.asyncDispose]());

const through = (): Promise<Peer> => startOurs({ ...target, others: [SILENT_PORT] });

describe.each([
  { path: "our port-forward", viaRelay: false },
  { path: "a relay", viaRelay: true },
])("a connection through $path", ({ viaRelay }) => {
  let peer: Peer;
  beforeAll(async () => {
    peer = await startOurs({ ...target, others: [SILENT_PORT] }, { viaRelay });
  }, 150_000);
  afterAll(() => peer?.[Symbol.asyncDispose]());

  for (const one of CASES.filter(({ exact }) => viaRelay || !exact)) {
    test(one.name, async () => expect(await outcome(one, peer, sizes)).toBeUndefined(), (one.timeoutMs ?? 15_000) + 5_000);
  }
});

describe("a stream of the library", () => {
  test("is refused with a code where nothing listens", async () => {
    const pod = { namespace: target.namespace, name: target.pod };
    await expect(target.cluster.portForward(pod, SILENT_PORT)).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  });

  test("of a pod that doesn't exist is refused with a code", async () => {
    const pod = { namespace: target.namespace, name: "nobody" };
    await expect(target.cluster.portForward(pod, PROGRAM_PORT)).rejects.toMatchObject({ code: "DIAL_GONE" });
  });

  test("fails within seconds when its pod is deleted, in the middle of a transfer and on idle, and no other is opened", async () => {
    await target.addPod("doomed");
    const pod = { namespace: target.namespace, name: "doomed" };
    const [busy, idle] = await Promise.all([
      target.cluster.portForward(pod, PROGRAM_PORT),
      target.cluster.portForward(pod, PROGRAM_PORT),
    ]);
    busy.write("flood\n");
    idle.write("echo\nx");
    busy.resume();
    idle.resume();
    await once(idle, "data");
    const over = Promise.all([busy, idle].map((stream) => Promise.race([once(stream, "end"), once(stream, "error")])));
    over.catch(() => {});
    await target.cluster.delete(PODS, { name: "doomed" }, { gracePeriodSeconds: 0 });
    await Promise.race([
      over,
      sleep(8_000, undefined, { ref: false }).then(() => Promise.reject(new Error("the streams are still open"))),
    ]);
    busy.destroy();
    idle.destroy();
    // The dial may be told as failed by the stream as well: then too, no byte was delivered.
    const again = target.cluster
      .portForward(pod, PROGRAM_PORT, { signal: AbortSignal.timeout(10_000) })
      .then((stream) => once(stream, "end").then(() => "an end"));
    await expect(again).rejects.toSatisfy((error) => hasCode(error, "DIAL_GONE", "DIAL_FAILED", "DIAL_REFUSED"));
  });
});

describe("what the way to the cluster lets through", () => {
  test.each([
    { lets: "spdy", carrier: "only SPDY" },
    { lets: "websocket", carrier: "only SPDY in a WebSocket" },
    { lets: "channel", carrier: "only v4.channel" },
  ] as const)("$carrier: connections work both ways", async ({ lets }) => {
    await using front = await startFront(target.kubeconfig, lets);
    await using peer = await startOurs({ ...target, kubeconfig: front.kubeconfig });
    await roundTrip(peer.port);
    expect(await ask(peer.port, "late 100 bye")).toBe("bye");
    expect(front.passed).toEqual(new Set([lets]));
  });

  test.each(["spdy", "websocket"] as const)(
    "%s: an idle connection outlives the idle time-out of what lies between",
    { timeout: 60_000 },
    async (lets) => {
      const idleMs = 6_000;
      await using front = await startFront(target.kubeconfig, lets, { idleMs });
      await using peer = await startOurs({ ...target, kubeconfig: front.kubeconfig });
      const socket = await open(peer.port, "echo");
      socket.write("x");
      await firstData(socket);
      await sleep(soak ? 5 * idleMs : 1.5 * idleMs);
      socket.write("y");
      expect(String(await firstData(socket))).toBe("y");
      socket.destroy();
    },
  );
});

// What goes wrong here is made to go wrong by the embedded cluster itself.
const onEmbedded = process.env["SHIPSIDE_E2E_KUBECONFIG"] === undefined;
const brokenServer = (): void => {
  /** 2 s is what is promised; some of it besides is for a machine that has other things to do. */
  const soonMs = 4_000;
  const usableWithin = async (port: number, ms: number): Promise<void> => {
    const deadline = Date.now() + ms;
    for (;;) {
      const left = deadline - Date.now();
      const worked = await Promise.race([roundTrip(port).then(() => true), sleep(Math.max(1, left), false, { ref: false })]).catch(
        () => undefined,
      );
      if (worked) return;
      if (worked === false || Date.now() > deadline) throw new Error(`not usable within ${ms} ms`);
      await sleep(50);
    }
  };

  test("restarts, open connections fail and new ones work at once", async () => {
    await using peer = await through();
    const socket = await open(peer.port, "echo");
    socket.write("x");
    await firstData(socket);
    const failed = once(socket, "error");
    await target.embedded!.restart();
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
    await usableWithin(peer.port, soonMs);
  });

  test("goes silent, open connections fail in seconds, and new ones work within 2 s of its return", async () => {
    await using peer = await through();
    const socket = await open(peer.port, "echo");
    socket.write("x");
    await firstData(socket);
    const failed = once(socket, "error");
    const undo = target.embedded!.faults.freeze();
    let waiting: Promise<unknown>;
    try {
      expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
      waiting = roundTrip(peer.port).catch(() => {});
      await sleep(soak ? 20_000 : 3_000);
    } finally {
      undo();
    }
    await usableWithin(peer.port, soonMs);
    await waiting;
  });

  test("has cut everything while this machine slept, connections work within 2 s of waking", async () => {
    await using peer = await through();
    await roundTrip(peer.port);
    peer.process.kill("SIGSTOP");
    await sleep(soak ? 60_000 : 6_000);
    target.embedded!.faults.dropConnections("portforward");
    peer.process.kill("SIGCONT");
    await usableWithin(peer.port, soonMs);
  });
};
if (onEmbedded) describe("when the API server", brokenServer);

const kubectl = process.env["SHIPSIDE_KUBECTL"] ?? (soak ? await findKubectl() : undefined);
if (kubectl !== undefined) {
  test("kubectl, for comparison", { timeout: 20 * 60_000 }, async () => {
    const rows: Array<{ case: string; kubectl: string }> = [];
    for (const one of CASES) {
      // A case may leave it dead or stuck, so each gets its own.
      await using peer = await startKubectl({ ...target, others: [SILENT_PORT] }, kubectl);
      rows.push({ case: one.name, kubectl: (await outcome(one, peer, sizes)) ?? "yes" });
    }
    console.table(rows);
    expect(rows[0]).toMatchObject({ kubectl: "yes" });
  });
}
