import { type ChildProcess, execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { type Cluster, connectCluster, DEPLOYMENTS, PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { bin, untilSaid } from "./cli.harness.ts";
import { canHaveDrives, type DriveUser, newDriveUser } from "./mount.drives.ts";

const namespace = "shop";
const object = (apiVersion: string, kind: string, name: string, fields: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  ...fields,
});
const labels = { app: "db" };

const manifests = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  object("v1", "ConfigMap", "settings", { data: { mode: "first" } }),
  object("v1", "PersistentVolumeClaim", "data", {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  }),
  object("apps/v1", "Deployment", "db", {
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          volumes: [
            { name: "data", persistentVolumeClaim: { claimName: "data" } },
            { name: "settings", configMap: { name: "settings" } },
            { name: "work", emptyDir: {} },
          ],
          containers: [
            {
              name: "db",
              image: "busybox",
              env: [{ name: "WHO", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }],
              command: ["sh", "-c", "mkdir -p /data/part; echo row > /data/row; echo warm > /work/cache; exec sleep 98771"],
              volumeMounts: [
                { name: "data", mountPath: "/data" },
                { name: "data", mountPath: "/part", subPath: "part" },
                { name: "data", mountPath: "/look", readOnly: true },
                { name: "data", mountPath: "/own", subPathExpr: "of-$(WHO)" },
                { name: "settings", mountPath: "/etc/db" },
                { name: "work", mountPath: "/work" },
              ],
            },
          ],
        },
      },
    },
  }),
];

describe.skipIf(!canHaveDrives)("volumes as drives, as an ordinary user", { timeout: 90_000 }, () => {
  let embedded: EmbeddedCluster;
  let cluster: Cluster;
  let pod: { namespace: string; name: string };
  let user: DriveUser;
  let where: string[];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    embedded = await startCluster();
    await embedded.apply(manifests);
    cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath, namespace });
    pod = await vi.waitFor(
      async () => {
        const [found] = await cluster.list(PODS, { namespace });
        expect(found?.status?.phase).toBe("Running");
        return { namespace, name: found!.metadata.name };
      },
      { timeout: 60_000, interval: 100 },
    );
    await vi.waitFor(async () => expect(await there("cat /work/cache")).toBe("warm\n"), { timeout: 30_000, interval: 100 });
  }, 150_000);
  afterAll(async () => {
    await cluster?.close();
    await embedded?.close();
  });
  beforeEach(async () => {
    user = await newDriveUser();
    const kubeconfig = join(user.home, "kubeconfig");
    await copyFile(embedded.kubeconfigPath, kubeconfig);
    await chmod(kubeconfig, 0o644);
    where = ["-k", kubeconfig, "-n", namespace];
  }, 120_000);
  afterEach(async () => {
    try {
      for (const child of children.splice(0)) child.kill("SIGKILL");
      await user.run(["stop", "-q"]);
      await user.run(["clean", "--yes", "-q"]);
      expect([await user.mounts(), await user.left()]).toEqual([[], []]);
      expect(await inCluster()).toEqual([]);
    } finally {
      await user[Symbol.asyncDispose]();
    }
  }, 60_000);

  const at = (...path: string[]): string => join(user.home, ...path);
  /** A script in the workload's container. */
  async function there(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await cluster.exec(pod, ["sh", "-ec", script]);
    expect(exitCode, stderr.toString()).toBe(0);
    return stdout.toString();
  }
  /** A script as the user. */
  async function here(script: string): Promise<string> {
    const { code, stdout, stderr } = await user.sh(`cd ${user.home} && { ${script}; }`);
    expect(code, stderr).toBe(0);
    return stdout;
  }
  const start = (args: readonly string[]): ChildProcess => {
    const child = user.start(args);
    children.push(child);
    return child;
  };
  const inCluster = async (): Promise<string[]> =>
    (await cluster.list(DEPLOYMENTS, { namespace, labelSelector: RELAY_LABEL })).map(({ metadata }) => metadata.name);

  test("a claim is a drive: written here and seen there, and back; subPath, read-only; Ctrl-C leaves nothing", async () => {
    const child = start(["mount", "deploy/db", at("root"), "--from", "running", ...where]);
    const said = await untilSaid(child, /ready in/);
    expect(said).toMatch(/deploying a relay into namespace shop, which mounts the claim there: shipside-/);
    expect(said).toContain("/data  persistentVolumeClaim data, by fuse\n");
    expect(said).toContain("/look  persistentVolumeClaim data, by fuse, read-only\n");
    expect(said).toMatch(/\/work {2}emptyDir work, a copy by snapshot, of 2/);
    expect(said).toContain("driver fuse: it works on this machine\n");
    expect(said).toMatch(/driver snapshot: .*fuse brings only persistentVolumeClaim and ephemeral;.* files are a copy/);

    expect(await here("cat root/data/row root/look/row root/work/cache root/etc/db/mode")).toBe("row\nrow\nwarm\nfirst");
    await here("echo 'from here' > root/data/mine; mkdir root/part/deep; echo deeper > root/part/deep/file; sync root/data/mine");
    expect(await there("cat /data/mine /data/part/deep/file")).toBe("from here\ndeeper\n");
    await there("echo 'from there' > /data/theirs; rm -r /data/part/deep");
    await vi.waitFor(async () => expect(await here("cat root/data/theirs; ls root/part")).toBe("from there\n"), {
      timeout: 10_000,
    });
    expect((await user.sh(`echo x > ${at("root/look/new")}`)).stderr).toMatch(/read-only file system/i);
    await here("rm root/data/mine; echo own > root/own/file");
    expect(await there("cat /data/of-db/file; rm /own/file")).toBe("own\n");
    expect(await here("df -P root/data | tail -n 1")).toMatch(/^shipside:shop\/data +[1-9]/);

    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(await user.mounts()).toEqual([]);
    expect(await here("ls")).not.toContain("root");
    expect(await inCluster()).toEqual([]);
    expect(await there("ls /data")).toBe("of-db\npart\nrow\ntheirs\n");
  });

  test("kept by the daemon: what is in use isn't taken away unless by force, and who uses it is said", async () => {
    expect((await user.run(["start", "--no-root"])).code).toBe(0);
    // Through a link: a mount is known by the path that the system calls it by.
    await here("mkdir real && ln -s real link");
    const opened = await user.run(["mount", "db", at("link"), "--only", "/data", "--read-only", ...where, "--json"]);
    expect(opened.code, opened.stderr).toBe(0);
    const { session } = JSON.parse(opened.stdout);
    expect(session.mount.volumes).toMatchObject([{ mountPath: "/data", by: "fuse", updates: "live", readOnly: true }]);
    expect(await here("cat real/data/row")).toBe("row\n");
    expect((await user.sh(`echo x > ${at("real/data/new")}`)).stderr).toMatch(/read-only file system/i);

    // `exec`: one process, and no other of the test's own in there.
    const ended = user.sh(`cd ${at("real/data")} && echo $$ > ${at("pid")} && exec sleep 300`);
    const pid = await vi.waitFor(
      async () => {
        const said = (await here("cat pid")).trim();
        expect(said).not.toBe("");
        return said;
      },
      { timeout: 10_000, interval: 100 },
    );
    try {
      for (const args of [
        ["session", "close", session.id],
        ["session", "close", "--all"],
        ["mount", "db", at("link"), "--clean", ...where],
      ]) {
        const refused = await user.run(args);
        expect([args, refused.code, refused.stderr]).toEqual([args, 14, expect.stringContaining(`sleep (${pid})`)]);
        expect(refused.stderr).toContain(`session close ${session.id} --force`);
      }
      expect(await user.mounts()).toHaveLength(1);
      const directories = `XDG_STATE_HOME=${at("state")} XDG_RUNTIME_DIR=${at("run")}`;
      // Who asks stands in it too, and isn't named.
      const inside = await user.sh(
        `cd ${at("real/data")} && ${directories} exec ${process.execPath} ${bin} session close ${session.id}`,
      );
      expect(inside.stderr).toContain(`data by sleep (${pid})\n`);
      const began = performance.now();
      const forced = await user.run(["session", "close", session.id, "--force"]);
      // Nothing is waited for that is not going to happen.
      expect(performance.now() - began).toBeLessThan(3_000);
      expect([forced.code, forced.stderr]).toEqual([0, expect.stringContaining(`closed ${session.id}`)]);
      expect([await user.mounts(), await inCluster()]).toEqual([[], []]);
    } finally {
      process.kill(Number(pid), "SIGKILL");
      await ended;
    }
    expect(await here("ls real")).toBe("");
  });

  test("a command of a teleport has the drive under SHIPSIDE_ROOT, as its options say; it goes with the command", async () => {
    const script = 'cat "$SHIPSIDE_ROOT/data/row"; ls "$SHIPSIDE_ROOT"; touch "$SHIPSIDE_ROOT/data/new" || exit 3';
    const options = ["--mount", at("root"), "--mount-only", "/data", "--driver", "sshfs"];
    const ran = await user.run(["teleport", "deploy/db", ...options, "--read-only", ...where, "--", "sh", "-c", script]);
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([3, "row\ndata\n", expect.stringMatching(/read-only file system/i)]);
    expect([await user.mounts(), await inCluster()]).toEqual([[], []]);
    const stray = await user.run(["teleport", "deploy/db", "--read-only", ...where]);
    expect([stray.code, stray.stderr]).toEqual([2, expect.stringContaining("--mount ./root")]);
  });

  test("synchronised: a copy here and the volume there stay the same, both ways; the last words come when it is closed", async () => {
    expect((await user.run(["start", "--no-root"])).code).toBe(0);
    await there("echo there > /data/cache.tmp");
    const ignoring = ["--driver", "sync", "--ignore", "*.tmp", "--ignore", "copy/build"];
    const opened = await user.run(["mount", "db", at("root"), "--only", "/data", ...ignoring, ...where, "--json"]);
    expect(opened.code, opened.stderr).toBe(0);
    const { session } = JSON.parse(opened.stdout);
    expect(session.mount).toMatchObject({
      drivers: [{ name: "sync" }],
      volumes: [{ mountPath: "/data", by: "sync", updates: "live" }],
    });
    expect([await user.mounts(), await here("cat root/data/row")]).toEqual([[], "row\n"]);
    expect(await here("ls root/data")).not.toContain("cache.tmp");
    await here("mkdir -p root/data/copy/build; echo x > root/data/copy/build/x; echo 'from here' > root/data/copy/mine");
    await vi.waitFor(async () => expect(await there("cat /data/copy/mine")).toBe("from here\n"), {
      timeout: 20_000,
      interval: 200,
    });
    await there("echo 'from there' > /data/copy/theirs");
    await vi.waitFor(async () => expect(await here("cat root/data/copy/theirs")).toBe("from there\n"), {
      timeout: 20_000,
      interval: 200,
    });
    expect(await there("ls /data/copy")).not.toContain("build");
    await here("echo last > root/data/copy/mine; rm -r root/data/copy/theirs root/data/copy/build");
    const closed = await user.run(["session", "close", session.id]);
    expect(closed.code, closed.stderr).toBe(0);
    expect(await there("cat /data/copy/* /data/cache.tmp; rm -r /data/copy /data/cache.tmp")).toBe("last\nthere\n");
    expect(await here("ls")).not.toContain("root");
    expect(await inCluster()).toEqual([]);

    const kept = start(["mount", "db", at("root"), "--only", "/data", ...ignoring, "--foreground", ...where]);
    await untilSaid(kept, /ready in/);
    await here("touch root/data/own.tmp");
    const last = text(kept.stderr!);
    kept.kill("SIGINT");
    expect([await once(kept, "exit"), await last]).toEqual([[14, null], expect.stringMatching(/VOLUMES_SYNC_PENDING.*own\.tmp/)]);
    expect(await here("find root -type f; rm -r root")).toBe("root/data/own.tmp\n");
  });

  test("synchronised, and the daemon is killed: `clean` takes away what is in the cluster, and leaves what isn't", async () => {
    expect((await user.run(["start", "--no-root"])).code).toBe(0);
    const opened = await user.run(["mount", "db", at("root"), "--only", "/data", "--driver", "sync", ...where, "--json"]);
    expect(opened.code, opened.stderr).toBe(0);
    const [{ pid }] = JSON.parse((await user.run(["session", "list", "--json"])).stdout);
    process.kill(pid, "SIGKILL");
    await here("echo late > root/data/late");
    const clean = await user.run(["clean", "--yes"]);
    expect(clean.code, clean.stderr).toBe(0);
    expect(await inCluster()).toEqual([]);
    expect(await here("cd root && find . -type f && cat data/late && rm -r data")).toBe("./data/late\nlate\n");
    expect(await there("cat /data/row")).toBe("row\n");
  });

  test("the daemon is killed: what was written stands, and `clean` takes the drive and the relay away", async () => {
    expect((await user.run(["start", "--no-root"])).code).toBe(0);
    const opened = await user.run(["mount", "db", at("root"), "--only", "data", ...where, "--json"]);
    expect(opened.code, opened.stderr).toBe(0);
    expect(JSON.parse(opened.stdout).session.mount.obstacles).toEqual([]);
    await here("echo kept > root/part/kept; sync root/part/kept");
    const [{ pid }] = JSON.parse((await user.run(["session", "list", "--json"])).stdout);
    process.kill(pid, "SIGKILL");
    expect(await there("cat /data/part/kept; rm /data/part/kept")).toBe("kept\n");
    expect(await user.mounts()).toHaveLength(4);
    expect(await inCluster()).toHaveLength(1);
    const clean = await user.run(["clean", "--yes"]);
    expect(clean.code, clean.stderr).toBe(0);
    expect([await user.mounts(), await inCluster()]).toEqual([[], []]);
    expect(await here("ls")).not.toContain("root");
    // The programs that served it end by themselves.
    const left = async () =>
      (await promisify(execFile)("pgrep", ["-f", `fuse/program.*${user.home}`]).catch(() => ({ stdout: "" }))).stdout;
    await vi.waitFor(async () => expect(await left()).toBe(""), { timeout: 15_000, interval: 200 });
  });
});
