import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { type VolumeItem, volumeDriverContract } from "@shipside/testkit";
import { describe, expect, it } from "vitest";
import { cluster, main, pod, podWith, useHolder, volumesIn } from "./fixtures/holder.ts";
import { snapshotDriver } from "./snapshot.ts";

useHolder(() => {
  const containers = [{ name: "other", image: "pause" }, main(["scratch"])];
  return [podWith(pod.name, { scratch: { emptyDir: {} } }, { containers })];
});
const volume = volumesIn("scratch");

describe.each([{ compress: false }, { compress: true }])("contract, $compress", ({ compress }) => {
  const cases = volumeDriverContract({
    name: "snapshot",
    open: async () => ({ driver: snapshotDriver({ cluster, compress }), volume, async [Symbol.asyncDispose]() {} }),
  });
  for (const { name, run } of cases) it(name, run);
});

const mount = async (driver: VolumeDriver): Promise<unknown> => {
  const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
  const request = { volume: "scratch", remotePath: "/scratch", localPath, readOnly: true, pod, container: "main" };
  try {
    return await driver.mount({ ...request, signal: new AbortController().signal }, { logger: silentLogger });
  } finally {
    await rm(localPath, { recursive: true });
  }
};

describe("what the container says", () => {
  /** The same container with another program in tar's place. */
  const instead = (...command: string[]): VolumeDriver =>
    snapshotDriver({ cluster: { get: cluster.get, exec: (where, _tar, options) => cluster.exec(where, command, options) } });

  it.each([["no-such-tar"], ["sh", "-c", "no-such-tar"], ["sh", "-c", '{ no-such-tar || echo "tar ended with $?" >&2; } | gzip']])(
    "an image without tar is named as such: %s %s %s",
    async (...command) => {
      await expect(mount(instead(...command))).rejects.toMatchObject({
        code: "VOLUMES_SNAPSHOT_NO_TAR",
        details: { ...pod, container: "main" },
      });
    },
  );

  it.each(["echo 'tar: ./x: Permission denied' >&2; exit 2", "echo 'tar: ./x: Permission denied\ntar ended with 2' >&2"])(
    "a copy with something missing is no copy: %s",
    async (script) => {
      await expect(mount(instead("sh", "-c", script))).rejects.toMatchObject({
        code: "VOLUMES_SNAPSHOT_FAILED",
        message: expect.stringMatching(/tar ended with 2: tar: .\/x: Permission denied$/),
      });
    },
  );

  it.each(["", "| gzip", "| gzip | head -c 20"])("what ends too early is no archive: %s", async (end) => {
    await expect(mount(instead("sh", "-c", `tar cf - -C /scratch . | head -c 700 ${end}`))).rejects.toMatchObject({
      code: "VOLUMES_ARCHIVE_INVALID",
    });
  });

  it("what is damaged on its way is no archive", async () => {
    const damaged = instead("sh", "-c", "tar cf - -C /scratch . | gzip | { head -c 20; head -c 20 >/dev/null; cat; }");
    await expect(mount(damaged)).rejects.toMatchObject({ code: "VOLUMES_ARCHIVE_INVALID" });
  });

  it.each(["exit 1", "echo 'tar ended with 1' >&2"])(
    "a file that the workload writes meanwhile is copied as it was found: %s",
    async (end) => {
      const said = `tar cf - -C /scratch .; echo 'tar: ./log: file changed as we read it' >&2; ${end}`;
      await expect(mount(instead("sh", "-c", said))).resolves.toMatchObject({ localPath: expect.any(String) });
    },
  );
});

it.each([{ compress: false }, { compress: true }])(
  "what was given up runs no longer in the container: %o",
  async ({ compress }) => {
    // More than is on the way at a time.
    const { remotePath } = await volume({ large: { mode: 0o644, data: randomBytes(32 << 20) } });
    const abort = new AbortController();
    const exec: Cluster["exec"] = (where, command, options) =>
      cluster.exec(where, command, {
        ...options,
        onStdout(chunk) {
          abort.abort();
          return options!.onStdout!(chunk);
        },
      });
    const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
    const request = { volume: "scratch", remotePath, localPath, readOnly: true, pod, container: "main", signal: abort.signal };
    const driver = snapshotDriver({ cluster: { get: cluster.get, exec }, compress });
    await expect(driver.mount(request, { logger: silentLogger })).rejects.toThrow("aborted");
    await rm(localPath, { recursive: true });
    const left = (): string[] => {
      const lines = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
      return lines.filter((line) => line.includes(remotePath));
    };
    await expect.poll(left, { timeout: 10_000 }).toEqual([]);
    await cluster.exec(pod, ["rm", "-r", remotePath], { container: "main" });
  },
);

it("tells how much has come", async () => {
  const file = (size: number): VolumeItem => ({ mode: 0o644, data: Buffer.alloc(size) });
  const wanted = await volume({ a: file(1_000_000), "b/c": file(2_000_000), "b/d": file(0) });
  const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
  const told: Array<{ files: number; bytes: number }> = [];
  const driver = snapshotDriver({
    cluster,
    onProgress: (name, { files, bytes }) => void (name === "scratch" && told.push({ files, bytes })),
  });
  const { signal } = new AbortController();
  await using _copied = await driver.mount({ ...wanted, localPath, readOnly: true, signal }, { logger: silentLogger });
  expect(told.at(-1)).toEqual({ files: 3, bytes: 3_000_000 });
  expect(told.some(({ bytes }) => bytes > 0 && bytes < 3_000_000)).toBe(true);
});

describe("whether it is compressed", () => {
  /** What it asks for in the container of a pod that says so much of itself, after so many ms. */
  const asked = async (ms: number, limits?: Record<string, string>): Promise<string[]> => {
    const forms: string[] = [];
    const found = { metadata: pod, spec: { containers: [{ name: "main", ...(limits && { resources: { limits } }) }] } };
    const get = async (): Promise<never> => {
      if (ms > 0) await sleep(ms);
      return found as never;
    };
    const exec: Cluster["exec"] = (where, command, options) => {
      forms.push(command.at(-1)!);
      return cluster.exec(where, command, options);
    };
    await mount(snapshotDriver({ cluster: { get, exec } }));
    return forms;
  };

  it("where the cluster is far, and by a container that has a processor for it", async () => {
    expect(await asked(0)).toEqual(["plain"]);
    expect(await asked(20)).toEqual(["zip"]);
    expect(await asked(20, { cpu: "2" })).toEqual(["zip"]);
    expect(await asked(20, { cpu: "500m", memory: "1Gi" })).toEqual(["zip"]);
    expect(await asked(20, { cpu: "499m" })).toEqual(["plain"]);
  });

  it("how far it is is asked twice, and later once; nearby not again", async () => {
    for (const [ms, wanted] of [
      [20, [2, 3, 4]],
      [0, [1, 1, 1]],
    ] as const) {
      let gets = 0;
      const get = async (): Promise<never> => {
        gets++;
        if (ms > 0) await sleep(ms);
        return { metadata: pod, spec: { containers: [{ name: "main" }] } } as never;
      };
      const driver = snapshotDriver({ cluster: { get, exec: cluster.exec } });
      const asked: number[] = [];
      for (let mounts = 0; mounts < 3; mounts++) {
        await mount(driver);
        asked.push(gets);
      }
      expect(asked).toEqual(wanted);
    }
  });

  it("what compresses comes as fewer bytes, and whole", async () => {
    const { remotePath } = await volume({
      "text.txt": { mode: 0o640, data: Buffer.from("all work and no play\n".repeat(50_000)) },
    });
    const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
    let came = 0;
    const exec: Cluster["exec"] = (where, command, options) =>
      cluster.exec(where, command, {
        ...options,
        onStdout(chunk) {
          came += chunk.length;
          return options!.onStdout!(chunk);
        },
      });
    const { signal } = new AbortController();
    const request = { volume: "scratch", remotePath, localPath, readOnly: true, pod, container: "main", signal };
    await using copied = await snapshotDriver({ cluster: { get: cluster.get, exec }, compress: true }).mount(request, {
      logger: silentLogger,
    });
    expect(came).toBeLessThan(50_000);
    expect((await readFile(join(copied.localPath, "text.txt"), "utf8")).length).toBe(21 * 50_000);
    await copied.close();
    await rm(localPath, { recursive: true });
  });

  it("what tar writes little by little comes in few pieces", async () => {
    const { remotePath } = await volume({});
    await cluster.exec(pod, ["sh", "-ec", 'for i in $(seq 400); do seq 100 > "$1/$i"; done', "sh", remotePath], {
      container: "main",
    });
    const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
    const littleByLittle =
      '{ tar cf - -C "$1" . | while head -c 4096 > /tmp/part && [ -s /tmp/part ]; do cat /tmp/part; sleep 0.002; done; }';
    let [pieces, bytes] = [0, 0];
    const exec: Cluster["exec"] = (where, [sh, c, script, ...rest], options) =>
      cluster.exec(where, [sh!, c!, script!.replaceAll('tar cf - -C "$1" .', littleByLittle), ...rest], {
        ...options,
        onStdout(chunk) {
          pieces++;
          bytes += chunk.length;
          return options!.onStdout!(chunk);
        },
      });
    const request = { volume: "scratch", remotePath, localPath, readOnly: true, pod, container: "main" };
    const { signal } = new AbortController();
    await using copied = await snapshotDriver({ cluster: { get: cluster.get, exec }, compress: false }).mount(
      { ...request, signal },
      { logger: silentLogger },
    );
    expect(bytes).toBeGreaterThan(400 * 1_024);
    // TLS alone makes pieces of 16 KiB.
    expect(pieces).toBeLessThan((1.5 * bytes) / 16_384);
    await copied.close();
    await rm(localPath, { recursive: true });
  });

  it("an image without a shell, without gzip, or without dd sends it as it is", async () => {
    const without = (word: string): Cluster["exec"] => {
      return (where, [program, ...args], options) => {
        const [, script, ...rest] = args;
        if (program === "tar") return cluster.exec(where, [program, ...args], options);
        if (word === "sh") return cluster.exec(where, ["no-such-shell"], options);
        const words = new RegExp(`\\b${word}\\b`, "g");
        return cluster.exec(where, ["sh", "-c", script!.replaceAll(words, `no-such-${word}`), ...rest], options);
      };
    };
    for (const word of ["sh", "gzip", "dd"]) {
      await expect(
        mount(snapshotDriver({ cluster: { get: cluster.get, exec: without(word) }, compress: word !== "dd" })),
      ).resolves.toBeDefined();
    }
  });
});
