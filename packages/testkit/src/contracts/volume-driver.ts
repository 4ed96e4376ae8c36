import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MountedVolume, silentLogger, type VolumeDriver, type VolumeMountRequest } from "@shipside/core";
import type { ContractCase } from "./contract.ts";

/** A file's content and permission bits, a symbolic link's target, or a directory. */
export type VolumeItem = { data: Uint8Array; mode: number } | { link: string } | "directory";

/** A driver, and volumes of a running pod for it. */
export interface VolumeDriverSubject extends AsyncDisposable {
  driver: VolumeDriver;
  /** A fresh volume that holds just these, by their path in it. */
  volume(
    items: Readonly<Record<string, VolumeItem>>,
  ): Promise<Pick<VolumeMountRequest, "volume" | "remotePath" | "pod" | "container">>;
}

export interface VolumeDriverContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  open(): Promise<VolumeDriverSubject>;
}

const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
const long = `${"deep-directory-name/".repeat(12)}file`;

/** Every sort of thing that a volume of files holds. */
const items: Readonly<Record<string, VolumeItem>> = {
  "a.txt": { data: Buffer.from("hello\n"), mode: 0o644 },
  "bin/tool": { data: Buffer.from("#!/bin/sh\n"), mode: 0o755 },
  "empty file": { data: new Uint8Array(), mode: 0o600 },
  "bytes.bin": { data: bytes, mode: 0o640 },
  "nothing here": "directory",
  "ünï/ 雪 '\"$.txt": { data: Buffer.from("unicode"), mode: 0o644 },
  [long]: { data: Buffer.from("far down"), mode: 0o644 },
  latest: { link: "a.txt" },
  "bin/up": { link: "../a.txt" },
};

/**
 * What every {@link VolumeDriver} must do. Write permissions aren't compared, since a driver may bring a volume read-only; nor are
 * owners, which a local user may not be able to have.
 */
export function volumeDriverContract(options: VolumeDriverContractOptions): ContractCase[] {
  interface Local {
    driver: VolumeDriver;
    subject: VolumeDriverSubject;
    localPath: string;
    mount(
      what: Pick<VolumeMountRequest, "volume" | "remotePath" | "pod" | "container">,
      signal?: AbortSignal,
    ): Promise<MountedVolume>;
  }
  const contract = (name: string, run: (local: Local) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "volume driver"}: ${name}`,
    async run() {
      await using subject = await options.open();
      const localPath = await mkdtemp(join(tmpdir(), "volume-driver-"));
      try {
        const { driver } = subject;
        await run({
          driver,
          subject,
          localPath,
          mount: (what, signal = new AbortController().signal) =>
            driver.mount({ ...what, localPath, readOnly: true, signal }, { logger: silentLogger }),
        });
      } finally {
        await rm(localPath, { recursive: true, force: true });
      }
    },
  });

  return [
    contract("has a name, and can work on this machine", async ({ driver }) => {
      assert.match(driver.name, /^[a-z][a-z0-9-]*$/);
      assert.equal(await driver.unavailable(), undefined);
    }),

    contract("brings every file, directory and link as it is", async ({ subject, localPath, mount }) => {
      await using mounted = await mount(await subject.volume(items));
      assert.equal(mounted.localPath, localPath);
      for (const [path, item] of Object.entries(items)) {
        const at = join(localPath, path);
        const found = await lstat(at);
        if (item === "directory") assert.ok(found.isDirectory(), path);
        else if ("link" in item) assert.equal(await readlink(at), item.link, path);
        else {
          assert.ok(Buffer.from(item.data).equals(await readFile(at)), `${path} has its bytes`);
          assert.equal(found.mode & 0o555, item.mode & 0o555, `${path} may be read and run by whom it was`);
        }
      }
      const names = (await readdir(localPath)).sort();
      assert.deepEqual(names, [...new Set(Object.keys(items).map((path) => path.split("/")[0]))].sort());
    }),

    contract("an empty volume is an empty directory", async ({ subject, localPath, mount }) => {
      await using _mounted = await mount(await subject.volume({}));
      assert.deepEqual(await readdir(localPath), []);
    }),

    contract("close leaves the local directory empty, and may be called again", async ({ subject, localPath, mount }) => {
      const mounted = await mount(await subject.volume(items));
      assert.notDeepEqual(await readdir(localPath), []);
      await Promise.all([mounted.close(), mounted.close()]);
      await mounted.close();
      assert.deepEqual(await readdir(localPath), []);
    }),

    contract("closing takes nothing from the volume: it can be mounted again", async ({ subject, localPath, mount }) => {
      const volume = await subject.volume({ "a.txt": items["a.txt"]! });
      await (await mount(volume)).close();
      await using _again = await mount(volume);
      assert.equal(await readFile(join(localPath, "a.txt"), "utf8"), "hello\n");
    }),

    contract("a path that isn't there is refused with a code, and leaves nothing", async ({ subject, localPath, mount }) => {
      const volume = await subject.volume({});
      await assert.rejects(mount({ ...volume, remotePath: `${volume.remotePath}/absent` }), ({ code }: NodeJS.ErrnoException) => {
        assert.match(code ?? "", /^[A-Z]+_[A-Z_]+$/);
        return true;
      });
      assert.deepEqual(await readdir(localPath), []);
    }),

    contract("an aborted mount is refused, and leaves nothing", async ({ subject, localPath, mount }) => {
      const volume = await subject.volume(items);
      await assert.rejects(mount(volume, AbortSignal.abort(new Error("no longer wanted"))), { message: "no longer wanted" });
      const soon = new AbortController();
      const mounting = mount(volume, soon.signal);
      setImmediate(() => soon.abort(new Error("changed my mind")));
      // It may have been done already; then it is a mount like any other.
      await mounting.then(
        (mounted) => mounted.close(),
        (error: Error) => assert.equal(error.message, "changed my mind"),
      );
      assert.deepEqual(await readdir(localPath), []);
    }),
  ];
}
