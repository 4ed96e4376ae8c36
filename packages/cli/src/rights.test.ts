import { expect, test } from "vitest";
import { COMMANDS } from "./cli.ts";

/** What they show others have: the daemon asks the cluster with the rights of its sessions. */
const ASKS_NO_CLUSTER = ["status", "inspect", "logs", "hosts", "demo", "completion"];

// Each command's code is loaded: that takes its time on a busy machine.
test("every command that talks to a cluster tells what it needs there", { timeout: 60_000 }, async () => {
  for (const { name, load } of COMMANDS) {
    const { rights } = await load();
    expect([name, rights !== undefined]).toEqual([name, !ASKS_NO_CLUSTER.includes(name)]);
  }
});
