import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./packages.ts";
import { buildVendored, VENDORED } from "./vendor.ts";

test("the copy of client-node's configuration works by itself, is a fraction of the whole, and carries its licences", {
  timeout: 90_000,
}, async () => {
  const out = mkdtempSync(join(tmpdir(), "shipside-vendor-"));
  try {
    const [vendored] = VENDORED["packages/kube"]!;
    await buildVendored(join(root, "packages/kube"), vendored!, out);
    const file = join(out, vendored!.file);
    expect(statSync(file).size).toBeLessThan(1024 * 1024);
    // Nothing of it is looked for in a node_modules, of which there is none here.
    const { KubeConfig } = (await import(file)) as typeof import("@kubernetes/client-node");
    const config = new KubeConfig();
    config.loadFromClusterAndUser({ name: "c", server: "https://10.0.0.1", skipTLSVerify: false }, { name: "u", token: "secret" });
    const options: Record<string, unknown> = {};
    await config.applyToHTTPSOptions(options);
    expect(options["headers"]).toEqual({ Authorization: "Bearer secret" });
    for (const proxyUrl of ["http://127.0.0.1:8080", "socks5://127.0.0.1:1080"]) {
      const proxied = new KubeConfig();
      proxied.loadFromClusterAndUser({ name: "c", server: "https://10.0.0.1", skipTLSVerify: false, proxyUrl }, { name: "u" });
      const through: Record<string, unknown> = {};
      await proxied.applyToHTTPSOptions(through);
      expect(through["agent"]).toBeDefined();
    }
    const notices = readFileSync(join(file, "../THIRD-PARTY-NOTICES.txt"), "utf8");
    expect(notices).toMatch(/^@kubernetes\/client-node \d.* \(Apache-2\.0\)$/m);
    expect(notices).toMatch(/^socks \d.* \(MIT\)$/m);
    expect(notices).not.toMatch(/^undici/m);
    expect(notices).toContain("Permission is hereby granted");
    expect(notices).not.toContain(root);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
