import { text } from "node:stream/consumers";
import { type Cluster, connectCluster, PODS, type Pod } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectEnv } from "./collect.ts";
import { explain } from "./explain.ts";
import { readRunning } from "./running.ts";
import type { EnvSelection } from "./select.ts";

const namespace = "running";
const object = (kind: string, name: string, fields: object, apiVersion = "v1") => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  ...fields,
});
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const pod = (name: string, spec: object) => object("Pod", name, { spec: { terminationGracePeriodSeconds: 0, ...spec } });
const fromFile = (name: string, key: string, optional = false) => ({
  name,
  valueFrom: { fileKeyRef: { volumeName: "made", path: "app.env", key, optional } },
});

/** An entrypoint that changes its environment before it becomes the program. */
const ENTRYPOINT = [
  'export MODE=changed URL="db://user:$DB_PASSWORD@db" GREETING="two\nlines"',
  "unset GONE",
  "exec sleep 98761",
].join("\n");

let embedded: EmbeddedCluster;
let cluster: Cluster;

beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    object("ConfigMap", "conf", { data: { MODE: "test", LEVEL: "info" } }),
    object("Secret", "keys", { data: { DB_PASSWORD: base64("pa55word") } }),
    object("Service", "leaf", { spec: { ports: [{ port: 3010 }], selector: { app: "leaf" } } }),
    pod("core", {
      containers: [
        {
          name: "main",
          image: "busybox",
          command: ["sh", "-c", ENTRYPOINT],
          envFrom: [{ configMapRef: { name: "conf" } }, { secretRef: { name: "keys" } }],
          env: [
            { name: "GONE", value: "soon" },
            { name: "LEAF", value: "http://$(LEAF_SERVICE_HOST):$(LEAF_SERVICE_PORT)" },
          ],
        },
      ],
    }),
    pod("files", {
      restartPolicy: "OnFailure",
      volumes: [{ name: "made", emptyDir: {} }],
      initContainers: [
        {
          name: "make",
          image: "busybox",
          command: ["sh", "-c", `printf "# made\\nTOKEN='t0ken'\\nHOST='db'\\nNOTHING=''\\n" > $SHIPSIDE_ROOT/made/app.env`],
          volumeMounts: [{ name: "made", mountPath: "/made" }],
        },
      ],
      containers: [
        {
          name: "main",
          image: "pause",
          env: [
            fromFile("TOKEN", "TOKEN"),
            fromFile("NONE", "NONE", true),
            { name: "URL", value: "http://$(DB)/$(TOKEN)" },
            fromFile("DB", "HOST"),
            { name: "LATE", value: "$(DB)" },
          ],
        },
        { name: "mounts", image: "pause", volumeMounts: [{ name: "made", mountPath: "/data/" }] },
      ],
    }),
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  for (const name of ["core", "files"]) await ready(name);
});
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});

async function ready(name: string): Promise<void> {
  for (const until = Date.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { status } = await cluster.get(PODS, { namespace, name });
    if (status?.containerStatuses?.every((each) => each.ready)) return;
    if (Date.now() > until) throw new Error(`pod ${name} is not ready: ${JSON.stringify(status)}`);
  }
}

const values = (entries: ReadonlyArray<{ name: string; value: string }>) =>
  Object.fromEntries(entries.map(({ name, value }) => [name, value]));

/**
 * The embedded cluster as a real runtime shows it: there process 1 is the container's first one, here it is the pod's.
 */
const real = (): Cluster => ({
  ...cluster,
  info: cluster.info,
  exec: (ref, command, options) => {
    const find = 'for each in /proc/[0-9]*; do grep -qz "^98761$" $each/cmdline && exec cat $each/environ; done; exit 1';
    return cluster.exec(ref, command.includes("/proc/1/environ") ? ["sh", "-c", find] : command, options);
  },
});

/** The same cluster, whose containers lack programs. */
const without = (programs: readonly string[], in_?: string): Cluster => ({
  ...cluster,
  info: cluster.info,
  exec: async (ref, command, options) => {
    const lacks = in_ === undefined || options?.container === in_;
    if (lacks && programs.includes(command[0] ?? "")) {
      throw Object.assign(new Error(`no ${command[0]}`), { code: "KUBE_EXEC_FAILED" });
    }
    // Below the container's root, wherever the embedded node keeps it.
    const [, path = ""] = command;
    const rooted = path.startsWith("/data") ? ["sh", "-c", 'cat "$SHIPSIDE_ROOT$0"', path] : command;
    return cluster.exec(ref, rooted, options);
  },
});

describe("exec", () => {
  it("tells the end of each of 200 short commands", async () => {
    const commands = [["env", "-0"], ["true"], ["false"], ["cat", "/proc/self/environ"]];
    for (let round = 0; round < 50; round++) {
      const ends = commands.map((command) =>
        cluster.exec({ namespace, name: "core" }, command, { signal: AbortSignal.timeout(5_000) }),
      );
      const results = await Promise.all(ends);
      expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 1, 0]);
      expect(results[0]!.stdout.length).toBeGreaterThan(100);
      expect(results[3]!.stdout.length).toBeGreaterThan(100);
    }
  }, 30_000);
});

describe("from running", () => {
  const options = { workload: "pod/core", namespace, from: "running" } as const;

  it("has what the process has, with the origins that the spec knows", async () => {
    const { entries, pod, warnings, differences } = await collectEnv(real(), options);
    expect({ pod, warnings }).toEqual({ pod: { namespace, name: "core" }, warnings: [] });
    expect(values(entries)).toMatchObject({
      MODE: "changed",
      LEVEL: "info",
      URL: "db://user:pa55word@db",
      GREETING: "two\nlines",
      HOSTNAME: "core",
      DB_PASSWORD: "pa55word",
    });
    expect(values(entries)).not.toHaveProperty("GONE");
    const entry = (name: string) => entries.find((each) => each.name === name);
    expect(entry("LEVEL")?.origin).toEqual({ from: "configMap", name: "conf", key: "LEVEL" });
    expect(entry("DB_PASSWORD")).toMatchObject({ origin: { from: "secret" }, sensitive: true });
    expect(entry("MODE")?.origin).toEqual({ from: "image", pod: "core" });
    // Put together by the entrypoint from a Secret's value.
    expect(entry("URL")).toMatchObject({ origin: { from: "image" }, sensitive: true });
    expect(differences?.find(({ name }) => name === "MODE")).toMatchObject({
      spec: { value: "test", origin: { from: "configMap" } },
      running: { value: "changed" },
    });
    expect(differences?.find(({ name }) => name === "GONE")).toEqual({
      name: "GONE",
      spec: expect.objectContaining({ value: "soon" }),
    });
    expect(differences?.find(({ name }) => name === "PATH")).not.toHaveProperty("spec");
    expect(differences?.some(({ name }) => name === "LEVEL")).toBe(false);
  });

  it("falls back to what the runtime gives, in containers that lack one program or another", async () => {
    for (const programs of [[], ["cat"], ["cat", "env"]]) {
      const { entries } = await collectEnv(without(programs), options);
      const runtime = await embedded.node!.exec(namespace, "core", { command: ["env", "-0"], stdin: false, tty: false });
      const wanted = (await text(runtime.stdout)).split("\0").slice(0, -1);
      expect(entries.map(({ name, value }) => `${name}=${value}`).sort()).toEqual(wanted.sort());
      expect(values(entries)).toMatchObject({ MODE: "test", GONE: "soon", HOSTNAME: "core" });
    }
  });

  it("gives services the addresses that they have here, where the process has the cluster's", async () => {
    const found = await collectEnv(real(), { ...options, addressOf: ({ name }) => (name === "leaf" ? "127.72.0.9" : undefined) });
    expect(values(found.entries)).toMatchObject({
      LEAF: "http://127.72.0.9:3010",
      LEAF_SERVICE_HOST: "127.72.0.9",
      MODE: "changed",
    });
    expect(found.differences?.some(({ name }) => name.startsWith("LEAF"))).toBe(false);
  });

  it("shows what changed in the cluster since the container started", async () => {
    await embedded.apply([object("ConfigMap", "conf", { data: { MODE: "test", LEVEL: "debug", NEW: "1" } })]);
    const { entries, differences } = await collectEnv(cluster, options);
    expect(values(entries)).toMatchObject({ LEVEL: "info" });
    expect(differences?.filter(({ name }) => ["LEVEL", "NEW"].includes(name))).toMatchObject([
      { name: "LEVEL", spec: { value: "debug" }, running: { value: "info" } },
      { name: "NEW", spec: { value: "1" } },
    ]);
  });

  it("tells differences of what is wanted only, and of nothing that was put in its place", async () => {
    const origin = { from: "plugin", plugin: "p" } as const;
    const sources = [{ name: "p", collect: async () => [{ name: "GONE", value: "plugin's", origin }] }];
    const names = async (select: EnvSelection) => {
      const { entries, differences = [] } = await collectEnv(real(), { ...options, sources, select });
      const rows = explain(entries, { differences });
      expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
      return differences.map(({ name }) => name).sort();
    };
    expect(await names({ only: ["MODE", "GONE", "NEW", "URL"] })).toEqual(["MODE", "NEW", "URL"]);
    expect(await names({ only: ["MODE", "URL"], secrets: false, set: { MODE: "mine" } })).toEqual([]);
  });

  it("masks what may be of a Secret that may not be read", async () => {
    const blind: Cluster = {
      ...cluster,
      info: cluster.info,
      get: async (type, ref, rest) => {
        if (type.plural === "secrets") throw Object.assign(new Error("no"), { code: "KUBE_FORBIDDEN" });
        return cluster.get(type, ref, rest);
      },
    };
    const { entries } = await collectEnv(blind, { ...options, skipForbidden: true });
    expect(entries.find(({ name }) => name === "DB_PASSWORD")).toMatchObject({ value: "pa55word", sensitive: true });
    expect(entries.filter(({ value, sensitive }) => value.includes("pa55word") && !sensitive)).toEqual([]);
  });

  it("says so where nothing can tell", async () => {
    const failed = await collectEnv(without(["cat", "env", "printenv"]), options).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "ENV_RUNNING_UNREADABLE", hint: expect.stringContaining("distroless") });
    expect((failed as { cause: AggregateError }).cause.errors).toHaveLength(4);
    await embedded.apply([
      object(
        "CronJob",
        "never",
        {
          spec: {
            schedule: "0 3 * * *",
            suspend: true,
            jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "node" }] } } } },
          },
        },
        "batch/v1",
      ),
    ]);
    await expect(collectEnv(cluster, { workload: "cj/never", namespace, from: "running" })).rejects.toMatchObject({
      code: "KUBE_NO_LIVE_POD",
    });
    await expect(collectEnv(cluster, { ...options, from: "else" as never })).rejects.toMatchObject({ code: "ENV_OPTION_INVALID" });
  });

  it("takes no other process's environment for the container's", async () => {
    const live = await cluster.get(PODS, { namespace, name: "core" });
    const asked: string[] = [];
    const answers = (first: string): Cluster => ({
      ...cluster,
      info: cluster.info,
      exec: async (_ref, command) => {
        asked.push(command.at(-1) ?? "");
        const stdout = Buffer.from(command.at(-1) === "/proc/1/environ" ? first : "HOSTNAME=core\0A=own\0");
        return { stdout, stderr: Buffer.alloc(0), exitCode: 0 };
      },
    });
    const read = async (first: string, of: Pod = live) => {
      const { values: found, of: whose } = await readRunning(answers(first), of, "main", new AbortController().signal);
      return [found.get("A"), whose];
    };
    expect(await read("HOSTNAME=core\0A=first\0")).toEqual(["first", "process"]);
    for (const other of ["HOSTNAME=node-1\0A=init\0", "A=init\0", "nginx: master\0\0\0", ""]) {
      expect(await read(other), other).toEqual(["own", "runtime"]);
    }
    asked.length = 0;
    const shared = { ...live, spec: { ...live.spec, shareProcessNamespace: true } };
    expect(await read("HOSTNAME=core\0A=pause\0", shared)).toEqual(["own", "runtime"]);
    expect(asked).toEqual(["/proc/self/environ"]);
  });
});

describe("fileKeyRef", () => {
  const wanted = { TOKEN: "t0ken", DB: "db", URL: "http://$(DB)/t0ken", LATE: "db" };

  it("comes from the running container, whether or not it mounts the volume", async () => {
    const { entries, warnings, pod } = await collectEnv(cluster, { workload: "pod/files", namespace, container: "main" });
    expect(warnings).toEqual([]);
    expect(values(entries)).toMatchObject(wanted);
    expect(values(entries)).not.toHaveProperty("NONE");
    expect(entries.find(({ name }) => name === "DB")).toEqual({
      name: "DB",
      value: "db",
      origin: { from: "file", volume: "made", path: "app.env", key: "HOST" },
      sensitive: true,
    });
    expect(entries.find(({ name }) => name === "LATE")?.sensitive).toBe(true);
    expect(pod?.name).toBe("files");
    const running = await collectEnv(cluster, { workload: "pod/files", namespace, container: "main", from: "running" });
    expect(running.entries.find(({ name }) => name === "TOKEN")?.origin.from).toBe("file");
    expect(running.differences?.filter(({ spec }) => spec)).toEqual([]);
  });

  it("comes from the file, by another container that mounts it, where the container has no tools", async () => {
    const poor = without(["cat", "env", "printenv"], "main");
    const { entries, warnings } = await collectEnv(poor, { workload: "pod/files", namespace, container: "main" });
    expect(warnings).toEqual([]);
    expect(values(entries)).toMatchObject(wanted);
  });

  it("is left out, with what refers to it, where nothing can tell", async () => {
    const none = without(["cat", "env", "printenv"]);
    const { entries, warnings } = await collectEnv(none, { workload: "pod/files", namespace, container: "main" });
    expect(Object.keys(values(entries)).filter((name) => name in wanted || name === "NONE")).toEqual([]);
    expect(warnings.map(({ reason, name }) => `${reason} ${name}`)).toEqual([
      "NEEDS_POD TOKEN",
      "NEEDS_POD NONE",
      "FORBIDDEN URL",
      "NEEDS_POD DB",
      "FORBIDDEN LATE",
    ]);
  });

  it("says which right is missing, or goes on without it", async () => {
    const refuse: Cluster = {
      ...cluster,
      info: cluster.info,
      exec: () => Promise.reject(Object.assign(new Error("no pods/exec"), { code: "KUBE_FORBIDDEN" })),
    };
    const request = { workload: "pod/files", namespace, container: "main" };
    await expect(collectEnv(refuse, request)).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
    const { entries, warnings } = await collectEnv(refuse, { ...request, skipForbidden: true });
    expect(values(entries)).not.toHaveProperty("TOKEN");
    expect(warnings[0]?.message).toContain("commands may not be run");
  });
});
