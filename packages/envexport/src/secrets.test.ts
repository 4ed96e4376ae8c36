import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import type { Logger } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { collectEnv } from "./collect.ts";
import { diffEntries, diffEnv, diffRows } from "./diff.ts";
import { writeEnvFile } from "./env-file.ts";
import { explain } from "./explain.ts";
import { FORMATS } from "./formats/registry.ts";
import { readEnvFile, shellEntries } from "./local.ts";
import { redact } from "./redact.ts";
import { renderDiff, renderExplain } from "./show.ts";
import { watchEnv } from "./watch.ts";

// Each is the beginning of all that is made of it.
const PLANTED = ["pl4nted-one", "pl4nted-two", "pl4nted-three"];
const namespace = "secrets";
const object = (kind: string, name: string, fields: object) => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace },
  ...fields,
});
const key = (name: string, of: string) => ({ name, valueFrom: { secretKeyRef: { name: "keys", key: of } } });
const pod = (name: string, env: object[], envFrom: object[] = []) =>
  object("Pod", name, {
    spec: { nodeName: "elsewhere", containers: [{ name: "c", image: "node", env, envFrom }] },
    status: { phase: "Running" },
  });

let embedded: EmbeddedCluster;
let cluster: Cluster;
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-secrets-"));
  embedded = await startCluster({ node: false, controllers: false });
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    object("Secret", "keys", {
      stringData: { lines: "pl4nted-one\nsecond line\u0001", open: "pl4nted-two", "0three": "pl4nted-three" },
      data: { bytes: Buffer.concat([Buffer.from("pl4nted-three"), Buffer.from([0xff])]).toString("base64") },
    }),
    pod(
      "core",
      [key("LINES", "lines"), key("OPEN", "open"), { name: "URL", value: "db://$(OPEN)@db" }],
      [{ secretRef: { name: "keys" } }],
    ),
    pod("broken", [key("LINES", "lines"), { name: "URL", value: "$(LINES)" }], [{ configMapRef: { name: "none" } }]),
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
});
afterEach(async () => {
  await cluster?.close();
  await embedded?.close();
  await rm(dir, { recursive: true });
});

it("are in no log, error, warning, table or difference", async () => {
  const told: string[] = [];
  const tell = (...what: unknown[]): void => void told.push(inspect(what, { depth: 20, showHidden: true }));
  const logger: Logger = { debug: tell, info: tell, warn: tell, error: tell };
  const failing = async (work: Promise<unknown>): Promise<void> => {
    const error = await work.then(
      () => expect.fail("it should have failed"),
      (cause: unknown) => cause,
    );
    tell(error, JSON.stringify(error));
  };
  const options = { workload: "pod/core", namespace, logger, relaxedNames: false };
  const { entries, warnings } = await collectEnv(cluster, options);
  expect(entries.filter(({ value }) => PLANTED.some((planted) => value.includes(planted)))).toHaveLength(5);
  expect(warnings.map(({ reason }) => reason).sort()).toEqual(["INVALID_NAME", "NOT_TEXT"]);
  tell(warnings, redact(entries));

  tell(renderExplain(explain(entries)), explain(entries));
  const shell = shellEntries({ OPEN: "pl4nted-two-other", COPY: "x pl4nted-two x" });
  for (const [a, b] of [
    [entries, shell],
    [shell, entries],
    [entries, []],
  ] as const) {
    tell(renderDiff(diffRows(diffEnv(a, b))));
  }
  tell(renderDiff(diffRows(diffEntries(entries, []))));

  await failing(collectEnv(cluster, { ...options, workload: "pod/broken" }));
  await failing(collectEnv(cluster, { ...options, container: "none" }));
  await failing(collectEnv(cluster, { ...options, from: "running" }));
  for (const format of FORMATS) {
    const file = await writeEnvFile(join(dir, format.name), entries, { format, logger, skipUnrepresentable: true });
    tell(file);
    expect((await stat(file.path)).mode & 0o777, format.name).toBe(0o600);
    await writeFile(join(dir, `edited-${format.name}`), "pl4nted-one: [");
    await readEnvFile(join(dir, `edited-${format.name}`), { format }).catch(tell);
    await file.close();
    try {
      tell(format.render([{ ...entries[0]!, name: "BAD NAME", value: "pl4nted-one\0" }]).length);
    } catch (error) {
      tell(error);
    }
  }
  await mkdir(join(dir, "directory"));
  await failing(writeEnvFile(join(dir, "directory"), entries, { logger, format: "json" }));
  await failing(writeEnvFile(join(dir, "none", "x"), entries, { logger }));

  const path = join(dir, "watched.json");
  const changes: string[][] = [];
  {
    await using watch = await watchEnv(cluster, {
      ...options,
      file: { path },
      onError: tell,
      onChange: ({ names, collection, ...change }) => {
        changes.push(names);
        tell(names, collection.warnings, renderDiff(diffRows(change)));
      },
    });
    await embedded.apply([object("Secret", "keys", { stringData: { open: "pl4nted-two-changed" } })]);
    await expect.poll(() => changes.flat()).toEqual(expect.arrayContaining(["OPEN", "URL"]));
    await writeFile(path, "a person's");
    tell(watch.file);
  }

  const all = told.join("\n");
  expect(all.length).toBeGreaterThan(5_000);
  for (const planted of PLANTED) {
    for (const form of [planted, Buffer.from(planted).toString("base64").slice(0, 12)]) {
      const at = all.indexOf(form);
      expect(at === -1 ? "" : all.slice(Math.max(0, at - 300), at + 100)).toBe("");
    }
  }
  // What a person wrote is kept, and nothing else stays: no temporary file either.
  expect((await readdir(dir)).filter((name) => !name.startsWith("edited-"))).toEqual(["directory", "watched.json.kept"]);
});
