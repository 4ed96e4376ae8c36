import { sampleManifests, startCluster } from "@shipside/testkit";
import { openTunnel } from "@shipside/tunnel";
import { beforeAll, expect, test } from "vitest";
import { connectDatabase } from "./database.ts";

let database: string;

// The tunnel of this suite: opened once, closed when the suite is over, also when a test fails.
beforeAll(async () => {
  // Stands for your cluster. With one of your own, leave it out: `openTunnel` reads the kubeconfig as kubectl does.
  const cluster = await startCluster();
  await cluster.apply(sampleManifests());

  const tunnel = await openTunnel({
    kubeconfig: cluster.kubeconfigPath,
    namespace: "sample",
    services: ["database"],
    bind: "local",
    // A database that is still starting is waited for at the first connection.
    holdMs: 30_000,
  });
  database = tunnel.address("database");
  return async () => {
    await tunnel.close();
    await cluster.close();
  };
});

test("an order that was stored is found", async () => {
  await using client = await connectDatabase(database);
  await client.send("SET", "order:1", "three lanterns");
  expect(await client.send("GET", "order:1")).toBe("three lanterns");
});

test("each connection sees what another has stored", async () => {
  await using writer = await connectDatabase(database);
  await using reader = await connectDatabase(database);
  await writer.send("SET", "order:2", "a rope");
  expect(await reader.send("GET", "order:2")).toBe("a rope");
});

test("a test that wants a tunnel of its own has one for as long as it runs", async () => {
  await using cluster = await startCluster();
  await cluster.apply(sampleManifests());
  await using tunnel = await openTunnel({ kubeconfig: cluster.kubeconfigPath, namespace: "sample", bind: "local", holdMs: 30_000 });
  await using client = await connectDatabase(tunnel.address("database"));
  expect(await client.send("GET", "order:1")).toBeNull();
});
