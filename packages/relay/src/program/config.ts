import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RelayConfig } from "../protocol.ts";

/** What stands beside the program, as the manifest puts it there. */
export function readConfig(directory: string): { config: RelayConfig; secret: string } {
  const read = (name: string): string => readFileSync(join(directory, name), "utf8");
  return { config: JSON.parse(read("config.json")) as RelayConfig, secret: read("secret").trim() };
}

/**
 * Where the program listens: control on loopback only, the rest on every address. A pod whose own address is a loopback one shares the
 * machine's network with others (a test cluster without namespaces does that), and keeps to it.
 */
export function listenHosts(env: NodeJS.ProcessEnv): { control: string; open: string | undefined } {
  const own = env["POD_IP"];
  return own?.startsWith("127.") ? { control: own, open: own } : { control: "127.0.0.1", open: undefined };
}
