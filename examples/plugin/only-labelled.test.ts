import { readFileSync } from "node:fs";
import { startCluster } from "@shipside/testkit";
import { openTunnel } from "@shipside/tunnel";
import { expect, test } from "vitest";
import { onlyLabelled } from "./only-labelled.ts";

const service = (name: string, labels: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", labels },
  spec: { ports: [{ port: 3010 }] },
});

test("labelled services are tunneled, others aren't, and taking the label off takes the service away", async () => {
  await using cluster = await startCluster();
  await cluster.apply([service("leaf", { "shipside.dev/teleport": "true" }), service("secret", {})]);
  await using tunnel = await openTunnel({ kubeconfig: cluster.kubeconfigPath, bind: "local", plugins: [onlyLabelled()] });
  expect([...tunnel.services.keys()]).toEqual(["default/leaf"]);

  const removed = new Promise((resolve) => tunnel.events.once("service-removed", resolve));
  await cluster.apply([service("leaf", { "shipside.dev/teleport": "no" })]);
  await removed;
  expect(tunnel.services.size).toBe(0);
});

test("the hook says which session is open", () => {
  const lines: string[] = [];
  const plugin = onlyLabelled({ say: (line) => void lines.push(line) });
  plugin.hooks.sessionOpened({ id: "1", kind: "teleport", context: "dev", server: "https://dev", namespace: "sample" });
  expect(lines).toEqual(["services of dev/sample with the label shipside.dev/teleport=true are here"]);
});

test("a plugin takes under 60 lines", () => {
  expect(readFileSync(new URL("./only-labelled.ts", import.meta.url), "utf8").split("\n").length).toBeLessThan(60);
});
