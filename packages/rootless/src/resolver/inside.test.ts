import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { openNamespace } from "../namespace.ts";
import { SHOP } from "./fixtures/shop.ts";
import { podResolvConf, renderResolvConf } from "./resolv-conf.ts";
import { openResolver } from "./resolver.ts";

const SERVER = "10.96.0.10";

describe.runIf(process.platform === "linux")("in a namespace, with a pod's resolv.conf", () => {
  test("glibc, busybox and Node find names as in a pod, and the resolver runs outside", { timeout: 60_000 }, async () => {
    await using namespace = await openNamespace();
    await using _resolver = await openResolver({
      listeners: namespace.listeners,
      addresses: [SERVER],
      services: SHOP,
      exchange: async () => {
        throw new Error("there is no world in this test");
      },
    });
    await namespace.resolveBy(renderResolvConf(podResolvConf({ pod: { namespace: "shop" }, nameservers: [SERVER] })));
    const { pid } = namespace;
    const enter = ["--target", String(pid), "--user", "--preserve-credentials", "--mount", "--net", "--", "sh", "-c"];
    const sh = async (script: string): Promise<string> => (await promisify(execFile)("nsenter", [...enter, script])).stdout.trim();

    const names = ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.svc.cluster.local."];
    const found = await sh(names.map((name) => `getent ahostsv4 ${name} | head -n 1`).join("\n"));
    expect(found.split("\n").map((line) => line.split(/\s+/)[0])).toEqual(names.map(() => "10.96.120.95"));
    expect(await sh("getent ahostsv4 db-1.db")).toMatch(/^10\.244\.2\.4 /);
    expect(await sh("getent ahostsv4 alias")).toMatch(/^10\.96\.120\.95 .*web\.shop\.svc\.cluster\.local/);
    expect(await sh("getent hosts 10.96.120.95")).toMatch(/\sweb\.shop\.svc\.cluster\.local$/);
    // 2: no such name.
    expect(await sh("getent ahostsv4 nope.shop; echo $?")).toBe("2");
    if (existsSync("/usr/bin/busybox"))
      expect(await sh("busybox nslookup kubernetes.default.svc.cluster.local")).toMatch(/Address.*10\.96\.0\.1$/m);
    const node = `const { promises: dns } = require("dns"); (async () => console.log((await dns.lookup("web", 4)).address, (await dns.resolveSrv("_pg._tcp.db.shop.svc.cluster.local")).length))()`;
    expect(await sh(`"${process.execPath}" -e '${node}'`)).toBe("10.96.120.95 3");
  });
});
