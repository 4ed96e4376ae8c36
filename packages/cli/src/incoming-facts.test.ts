import { type IncomingInfo, isArriving } from "@shipside/daemon/client";
import { expect, test } from "vitest";
import { incomingFacts } from "./incoming-facts.ts";

const port = { port: 80, localPort: 8080, open: 1, connections: 2, refused: 0, bytesIn: 0, bytesOut: 0 };
const exposed: IncomingInfo = {
  namespace: "shop",
  service: "mine",
  relay: "shipside-mine-1",
  relays: { ready: 1, leased: 1 },
  ports: [
    { ...port, protocol: "TCP" },
    { ...port, protocol: "UDP", connections: 1, refused: 3, lastError: "nothing listens on 127.0.0.1:8080" },
  ],
};
const intercepted: IncomingInfo = { ...exposed, match: { all: true }, switched: false, switchedAt: "2026-01-02T03:04:05.000Z" };

test("each port has its line, and what doesn't work is said", () => {
  expect(incomingFacts(exposed)).toEqual([
    "by the relay shipside-mine-1, 1 of 1 pods linked",
    "port 80 → 127.0.0.1:8080: 2 connections, 1 open, 0 refused",
    "port 80/udp → 127.0.0.1:8080: 1 connection, 1 open, 3 refused (nothing listens on 127.0.0.1:8080)",
  ]);
  expect(incomingFacts(intercepted)[0]).toBe("mine leads to its own pods for now: no relay is ready");
  expect(incomingFacts({ ...intercepted, switched: true })[1]).toMatch(
    /^connections opened before \d\d:\d4:05 stay with their pods until they end$/,
  );
});

test("traffic arrives where every ready pod of the relay is linked, and the Service leads there", () => {
  expect(isArriving(exposed)).toBe(true);
  expect(isArriving({ ...exposed, relays: { ready: 2, leased: 1 } })).toBe(false);
  expect(isArriving({ ...exposed, relays: { ready: 0, leased: 0 } })).toBe(false);
  expect(isArriving(intercepted)).toBe(false);
});
