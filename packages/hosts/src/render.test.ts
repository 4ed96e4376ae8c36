import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHostName } from "@shipside/core";
import fc from "fast-check";
import hostile from "hostile";
import { describe, expect, it } from "vitest";
import { checkEntries, isAddress } from "./names.ts";
import { defaultHostsPath, lineRules } from "./platform.ts";
import { renderLines } from "./render.ts";

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
const hostName = fc
  .array(label, { minLength: 1, maxLength: 8 })
  .map((labels) => labels.join("."))
  .filter((name) => isIP(name) === 0);
const address = fc.oneof(fc.ipV4(), fc.ipV6());
const entries = fc.array(fc.record({ address, names: fc.array(hostName, { minLength: 1, maxLength: 30 }) }), { maxLength: 8 });
const linux = lineRules("linux");

/** (address, name) pairs as a resolver reads them. */
const pairsOf = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const [first, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return names.map((name) => `${first} ${name}`);
  });

describe("renderLines", () => {
  it("says exactly the given pairs, once each, on every platform", () => {
    fc.assert(
      fc.property(entries, fc.constantFrom<NodeJS.Platform>("linux", "win32"), (given, platform) => {
        checkEntries(given);
        const lines = renderLines(given, " # shipside:o", lineRules(platform));
        const wanted = new Set(given.flatMap((entry) => entry.names.map((name) => `${entry.address} ${name}`)));
        expect(pairsOf(lines).sort()).toEqual([...wanted].sort());
        for (const line of lines) {
          expect(line.length).toBeLessThanOrEqual(500);
          expect(line).toMatch(/^[\x21-\x7e]+( [\x21-\x7e]+)+ # shipside:o$/);
          if (platform === "win32") expect(line.split("#")[0]?.trim().split(" ").length).toBeLessThanOrEqual(10);
        }
      }),
    );
  });

  it("reads back the same through hostile", () => {
    const dir = mkdtempSync(join(tmpdir(), "shipside-hosts-"));
    try {
      fc.assert(
        fc.property(entries, (given) => {
          const lines = renderLines(given, " # shipside:o", linux);
          writeFileSync(join(dir, "hosts"), lines.join("\n"));
          const read = hostile.getFile(join(dir, "hosts"), false).map((found) => (found as [string, string]).join(" "));
          expect(pairsOf(read)).toEqual(pairsOf(lines));
        }),
        { numRuns: 50 },
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("gives .local names an IPv6 line on macOS, unless they have one", () => {
    const given = [
      { address: "127.72.0.1", names: ["leaf", "leaf.ns.svc.cluster.local"] },
      { address: "127.72.0.2", names: ["printer.local"] },
      { address: "fd00::1", names: ["PRINTER.local"] },
    ];
    expect(renderLines(given, "", lineRules("darwin"))).toEqual([
      "127.72.0.1 leaf leaf.ns.svc.cluster.local",
      "::ffff:127.72.0.1 leaf.ns.svc.cluster.local",
      "127.72.0.2 printer.local",
      "fd00::1 PRINTER.local",
    ]);
    expect(renderLines(given, "", linux)).toHaveLength(3);
  });
});

describe("names", () => {
  it("accepts nothing that could end a field or a line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        if (isHostName(text)) expect(text).toMatch(/^[A-Za-z0-9.-]+$/);
        if (isAddress(text)) expect(text).toMatch(/^[0-9A-Za-z:.%_-]+$/);
      }),
      { numRuns: 2_000 },
    );
    const long = `${"a".repeat(63)}.`.repeat(3);
    for (const good of ["leaf", "a.b.c", "1password", "x--y", "LEAF.Ns", `${long}${"a".repeat(61)}`])
      expect(isHostName(good), good).toBe(true);
    for (const bad of [
      ...[
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "a b",
        "a\n",
        "a\n1.1.1.1 evil",
        "a\r",
        "a\t",
        "a#",
        "ä",
        "1.2.3.4",
        "::1",
      ],
      ...["a".repeat(64), `${long}${"a".repeat(62)}`, 5, null, undefined],
    ]) {
      expect(isHostName(bad), String(bad)).toBe(false);
    }
    for (const bad of ["", "1.2.3", "1.2.3.4\n", "1.2.3.4 x", "::1%lo 0", "::1%", "host", 1, undefined])
      expect(isAddress(bad), String(bad)).toBe(false);
    for (const good of ["127.72.0.1", "::1", "fe80::1%lo0", "::ffff:1.2.3.4"]) expect(isAddress(good), good).toBe(true);
  });

  it("names the entry that is wrong", () => {
    const wrong = (given: unknown): unknown => {
      try {
        checkEntries(given as never);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    const good = { address: "127.72.0.1", names: ["a"] };
    expect(wrong([good, { address: "127.72.0.1", names: ["a", "b c"] }])).toMatchObject({
      code: "HOSTS_INVALID_ENTRY",
      details: { index: 1, value: "b c" },
    });
    for (const bad of [undefined, "x", [null], [{ ...good, names: [] }], [{ ...good, names: "a" }], [{ ...good, address: "x" }]]) {
      expect(wrong(bad)).toMatchObject({ code: "HOSTS_INVALID_ENTRY" });
    }
  });
});

describe("defaultHostsPath", () => {
  it("is the platform's", () => {
    expect(defaultHostsPath(process.platform)).toBe(hostile.HOSTS);
    expect(defaultHostsPath("win32", { SystemRoot: "D:\\W" })).toBe("D:\\W\\System32\\drivers\\etc\\hosts");
  });
});
