import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_CIDR, TUNNEL_ERRORS, type TunnelEvents, type TunnelOptions } from "./index.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

// Objects, so that the compiler asks for what was added and forgotten here.
const options: Record<Exclude<keyof TunnelOptions, "pool">, true> = {
  cluster: true,
  kubeconfig: true,
  context: true,
  namespace: true,
  namespaces: true,
  services: true,
  hosts: true,
  bind: true,
  hostAddresses: true,
  listeners: true,
  holdMs: true,
  plugins: true,
  tap: true,
  logger: true,
  signal: true,
};
const events: Record<keyof TunnelEvents, true> = {
  "service-added": true,
  "service-removed": true,
  "service-changed": true,
  "port-opened": true,
  "port-closed": true,
  "port-failed": true,
  connection: true,
  "connection-closed": true,
  unsupported: true,
  "names-changed": true,
  stale: true,
  live: true,
};

test.each([...Object.keys(options), ...Object.keys(events), ...Object.keys(TUNNEL_ERRORS), DEFAULT_CIDR])(
  "the README tells of %s",
  (word) => {
    expect(readme).toContain(`\`${word}\``);
  },
);
