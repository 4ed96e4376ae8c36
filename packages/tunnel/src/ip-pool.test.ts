import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Logger, silentLogger } from "@shipside/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { assign, openIpPool, parseRange } from "./ip-pool.ts";
import { remember } from "./pool-state.ts";

const keys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 40 });

async function temporary(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "shipside-pool-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function recorder(): Logger & { warnings: string[] } {
  const warnings: string[] = [];
  return { ...silentLogger, warnings, warn: (message) => void warnings.push(message) };
}

test("every address of a range is inside it, unique, and ends in neither 0 nor 255", () => {
  for (const cidr of ["127.72.0.0/24", "127.72.0.0/30", "127.72.0.252/30", "127.72.1.128/25", "127.72.4.0/22", "127.0.0.5/32"]) {
    const range = parseRange(cidr);
    const all = Array.from({ length: range.size }, (_, index) => range.at(index));
    expect(new Set(all).size, cidr).toBe(range.size);
    expect(
      all.filter((address) => !range.has(address) || /\.(0|255)$/.test(address)),
      cidr,
    ).toEqual([]);
  }
  expect(parseRange("127.72.0.0/14").size).toBe(1024 * 254);
  expect(parseRange("127.72.0.0/14").has("127.76.0.1")).toBe(false);
});

test.each(["127.72.0.0", "127.72.0.0/33", "127.72.0.0/7", "127.72.0.1/14", "256.0.0.0/8", "::1/64", "127.72.0.0/32"])(
  "%s is no pool, and the error says why",
  (cidr) => {
    expect(() => parseRange(cidr)).toThrow(expect.objectContaining({ code: "POOL_INVALID", hint: expect.any(String) }));
  },
);

test("an address belongs to one key, and what was assigned stays, in whatever order keys come", () => {
  const range = parseRange("127.72.0.0/25");
  fc.assert(
    fc.property(keys, keys, (first, second) => {
      const before = assign(range, first, new Map());
      const after = assign(range, second, before);
      const all = new Map([...before, ...after]);
      expect(new Set(all.values()).size).toBe(all.size);
      for (const key of second) if (before.has(key)) expect(after.get(key)).toBe(before.get(key));
      expect(assign(range, [...first].reverse(), new Map())).toEqual(before);
    }),
  );
});

test("a full pool says so", () => {
  const range = parseRange("127.72.0.0/30");
  expect(() => assign(range, ["a", "b", "c", "d"], new Map())).toThrow(expect.objectContaining({ code: "POOL_EXHAUSTED" }));
});

test("addresses are the same in the next run, also those that had to give way to a collision", async () => {
  await using directory = await temporary();
  const stateFile = join(directory.path, "state", "addresses.json");
  const options = { cidr: "127.72.0.0/28", stateFile, logger: silentLogger };
  const services = Array.from({ length: 12 }, (_, index) => `ctx/ns/service-${index}`);
  const first = new Map<string, string>();
  {
    await using pool = openIpPool(options);
    for (const key of services) first.set(key, (await pool.assign([key])).get(key)!);
  }
  await using pool = openIpPool(options);
  expect(await pool.assign([...services].reverse())).toEqual(new Map([...first].reverse()));
  expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(directory.path, "state"))).toEqual(["addresses.json"]);
});

test("of very many, those asked for longest ago are forgotten; none in use, and none asked for now", () => {
  const key = fc.integer({ min: 0, max: 30 }).map((n) => `k${n}`);
  const keys = fc.uniqueArray(key).map((list) => new Map(list.map((each) => [each, `at ${each}`])));
  fc.assert(
    fc.property(keys, keys, fc.uniqueArray(key), fc.nat(20), (taken, wanted, used, most) => {
      const kept = remember(taken, wanted, (each) => used.includes(each), most);
      const old = [...taken.keys()].filter((each) => !wanted.has(each));
      const needed = old.filter((each) => used.includes(each));
      for (const each of [...needed, ...wanted.keys()]) expect(kept.get(each)).toBe(`at ${each}`);
      const idle = old.filter((each) => !used.includes(each));
      const room = Math.max(0, most - wanted.size - needed.length);
      expect([...kept.keys()].filter((each) => idle.includes(each))).toEqual(room === 0 ? [] : idle.slice(-room));
      expect([...kept.keys()].slice(kept.size - wanted.size)).toEqual([...wanted.keys()]);
    }),
  );
});

test("services that come and go under ever new names don't grow the state file without end", async () => {
  await using directory = await temporary();
  const stateFile = join(directory.path, "addresses.json");
  await using pool = openIpPool({ stateFile, logger: silentLogger });
  const keys = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, n) => `shop/web-${from + n}`);
  const [stays] = keys(0, 1);
  const first = await pool.assign([stays!]);
  for (let n = 1; n < 3_001; n += 500) await pool.assign(keys(n, n + 500), new Set([stays!]));
  const { addresses } = JSON.parse(await readFile(stateFile, "utf8")) as { addresses: Record<string, string> };
  expect(Object.keys(addresses)).toHaveLength(1_024);
  expect(Object.values(addresses)).toContain(first.get(stays!));
  // What was forgotten has its address again.
  await using other = openIpPool({ stateFile: false, logger: silentLogger });
  expect(await pool.assign(keys(1, 2))).toEqual(await other.assign(keys(1, 2)));
});

test("pools of different ranges share a state file and never an address", async () => {
  await using directory = await temporary();
  const stateFile = join(directory.path, "addresses.json");
  await using narrow = openIpPool({ cidr: "127.72.0.0/28", stateFile, logger: silentLogger });
  await using wide = openIpPool({ cidr: "127.72.0.0/27", stateFile, logger: silentLogger });
  const some = Array.from({ length: 10 }, (_, index) => `k${index}`);
  const a = await narrow.assign(some);
  const b = await wide.assign(some);
  expect(new Set([...a.values(), ...b.values()]).size).toBe(20);
  expect(await narrow.assign(some)).toEqual(a);
});

test.each(["", "{", "null", "[]", '{"version":2,"addresses":{}}', '{"version":1,"addresses":{"a":7}}'])(
  "a state file that holds %j is put aside with a warning",
  async (content) => {
    await using directory = await temporary();
    const stateFile = join(directory.path, "addresses.json");
    await writeFile(stateFile, content);
    const logger = recorder();
    await using pool = openIpPool({ stateFile, logger });
    expect((await pool.assign(["a"])).get("a")).toMatch(/^127\./);
    expect(logger.warnings).toEqual([expect.stringContaining(".corrupt")]);
    expect(await readFile(`${stateFile}.corrupt`, "utf8")).toBe(content);
  },
);

test("a directory that can't be written costs a warning, and addresses are what the hash says", async () => {
  await using directory = await temporary();
  await writeFile(join(directory.path, "file"), "");
  const logger = recorder();
  await using pool = openIpPool({ stateFile: join(directory.path, "file", "addresses.json"), logger });
  await using memory = openIpPool({ stateFile: false, logger });
  expect(await pool.assign(["a", "b"])).toEqual(await memory.assign(["a", "b"]));
  await pool.assign(["c"]);
  expect(logger.warnings).toHaveLength(1);
});

test("the lock of a process that is gone is taken over", async () => {
  await using directory = await temporary();
  const stateFile = join(directory.path, "addresses.json");
  // A process that ends while it holds the lock.
  const program = `
    const { acquireFileLock } = await import(${JSON.stringify(import.meta.resolve("@shipside/core"))});
    const signal = new AbortController().signal;
    await acquireFileLock({ path: ${JSON.stringify(`${stateFile}.lock`)}, what: "x", owner: "x", timeoutMs: 0, signal });
  `;
  const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", program]);
  await once(child, "exit");
  expect(await readdir(directory.path)).toEqual(["addresses.json.lock"]);
  await using pool = openIpPool({ stateFile, logger: silentLogger });
  const began = performance.now();
  await pool.assign(["a"]);
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(await readdir(directory.path)).toEqual(["addresses.json"]);
});

test("several processes at once never give one address to two services", async () => {
  await using directory = await temporary();
  await mkdir(join(directory.path, "state"));
  const stateFile = join(directory.path, "state", "addresses.json");
  const program = `
    const { openIpPool } = await import(${JSON.stringify(new URL("./ip-pool.ts", import.meta.url).href)});
    const pool = openIpPool({ cidr: "127.72.0.0/25", stateFile: ${JSON.stringify(stateFile)}, logger: { warn: console.error } });
    const mine = {};
    for (let i = 0; i < 20; i++) for (const [k, v] of await pool.assign([process.argv[1] + "/" + i, "shared/" + i])) mine[k] = v;
    console.log(JSON.stringify(mine));
  `;
  const outputs = await Promise.all(
    ["p", "q", "r", "s"].map(async (name) => {
      const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", program, name], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      return JSON.parse(await text(child.stdout)) as Record<string, string>;
    }),
  );
  const merged = new Map<string, string>();
  for (const output of outputs) {
    for (const [key, address] of Object.entries(output)) {
      expect(merged.get(key) ?? address).toBe(address);
      merged.set(key, address);
    }
  }
  expect(merged.size).toBe(100);
  expect(new Set(merged.values()).size).toBe(100);
});
