import { expect, test } from "vitest";
import { entriesBesideDns } from "./rootless-hosts.ts";

const entry = (address: string, name: string) => ({ address, names: [name, `${name}.shop`, `${name}.shop.svc.cluster.local`] });

test("a headless service is the DNS's where its pods have names; one whose pods have none stays", () => {
  const [web, pods, workers] = [entry("10.96.0.7", "web"), entry("10.244.0.3", "db-0.db"), entry("127.72.0.10", "workers")];
  expect(entriesBesideDns([web, entry("127.72.0.9", "db"), pods, workers])).toEqual([web, pods, workers]);
});
