import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { definePlugin, type MountedVolume, type VolumeDriver } from "@shipside/core";
import type { Cluster } from "@shipside/kube";

/** Copies a volume here by `tar`, and what has changed back when it is closed. What was deleted here stays there. */
export function tarBack(cluster: Pick<Cluster, "exec">): VolumeDriver {
  return {
    name: "tar-back",
    unavailable: async () => (process.platform === "win32" ? "there is no tar to count on" : undefined),
    async mount({ pod, container, remotePath, localPath, readOnly, signal }): Promise<MountedVolume> {
      const there = async (args: string[], stdin?: Buffer): Promise<Buffer> => {
        const options = { signal, ...(container !== undefined && { container }), ...(stdin && { stdin }) };
        const { stdout, stderr, exitCode } = await cluster.exec(pod, ["tar", ...args, "-C", remotePath, "."], options);
        if (exitCode === 0) return stdout;
        throw Object.assign(new Error(`tar in pod ${pod.name}: ${stderr}`), { code: "TAR_BACK_FAILED" });
      };
      await tarHere(["xpf", "-", "-C", localPath], await there(["cf", "-"]));
      let closing: Promise<void> | undefined;
      const end = async (): Promise<void> => {
        if (!readOnly) {
          const changed = await tarHere(["cf", "-", "-C", localPath, "."]);
          await cluster.exec(pod, ["tar", "xf", "-", "-C", remotePath], { stdin: changed, ...(container && { container }) });
        }
        for (const name of await readdir(localPath)) await rm(join(localPath, name), { recursive: true });
      };
      const close = (): Promise<void> => (closing ??= end());
      return { localPath, close, [Symbol.asyncDispose]: close };
    },
  };
}

async function tarHere(args: string[], stdin?: Buffer): Promise<Buffer> {
  const tar = spawn("tar", args, { stdio: ["pipe", "pipe", "inherit"] });
  tar.stdin.on("error", () => {});
  tar.stdin.end(stdin);
  const [out, [code]] = await Promise.all([buffer(tar.stdout), once(tar, "close")]);
  if (code === 0) return out;
  throw Object.assign(new Error(`tar here ended with ${code}`), { code: "TAR_BACK_FAILED" });
}

/** For a session: `teleport({ plugins: [tarBackPlugin(cluster)], mount: { dir, driver: "tar-back" } })`. */
export const tarBackPlugin = (cluster: Cluster) =>
  definePlugin({ name: "@shipside-examples/volume-driver", volumeDrivers: [tarBack(cluster)] });
