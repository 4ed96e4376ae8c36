import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import type { Clock } from "./clock.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";

const template = { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "x" }] } };
const job = (spec: object = {}) => ({ metadata: { name: "work" }, spec: { template, ...spec } });
const get = (cluster: FakeCluster): KubeJson => cluster.store.get("jobs.batch", "default", "work")!;
const pods = (cluster: FakeCluster): KubeJson[] => cluster.store.list("pods", "default");
const reason = (cluster: FakeCluster, type: string): string =>
  get(cluster)["status"]?.conditions?.find((entry: { type: string }) => entry.type === type)?.reason;

/** A clock that jumps to whatever is waited for. */
function jumpingClock(): Clock & { jumps: number[] } {
  let now = Date.now();
  const jumps: number[] = [];
  return {
    jumps,
    now: () => now,
    after(ms, run) {
      const soon = setImmediate(() => {
        now += ms;
        jumps.push(ms);
        run();
      });
      return () => clearImmediate(soon);
    },
  };
}

test("so many pods at once until enough have succeeded", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("jobs.batch", job({ completions: 5, parallelism: 2 }));
  await cluster.until(() => get(cluster)["status"]?.ready === 2);
  expect(get(cluster)["status"]).toMatchObject({ active: 2, ready: 2 });
  let most = 0;
  const stop = cluster.store.subscribe(
    () => (most = Math.max(most, pods(cluster).filter((pod) => pod["status"]?.phase !== "Succeeded").length)),
  );
  cluster.pods.phase = () => "Succeeded";
  cluster.refresh();
  await cluster.until(() => reason(cluster, "Complete") === "CompletionsReached");
  stop();
  expect(most).toBe(2);
  expect(get(cluster)["status"]).toMatchObject({ succeeded: 5, completionTime: expect.any(String), startTime: expect.any(String) });
  expect(get(cluster)["status"].active).toBeUndefined();
  expect(pods(cluster)).toHaveLength(5);
});

test("indexed: each number once", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.phase = () => "Succeeded";
  cluster.apply("jobs.batch", job({ completions: 3, parallelism: 3, completionMode: "Indexed" }));
  await cluster.until(() => reason(cluster, "Complete") === "CompletionsReached");
  expect(get(cluster)["status"].completedIndexes).toBe("0-2");
  expect(
    pods(cluster)
      .map((pod) => pod["spec"].hostname)
      .sort(),
  ).toEqual(["work-0", "work-1", "work-2"]);
});

test("failures are tried again, later each time, until the limit", async () => {
  const clock = jumpingClock();
  await using cluster = await fakeCluster({ clock });
  cluster.pods.phase = () => "Failed";
  cluster.apply("jobs.batch", job({ backoffLimit: 2 }));
  await cluster.until(() => reason(cluster, "Failed") === "BackoffLimitExceeded");
  expect(pods(cluster)).toHaveLength(3);
  expect(get(cluster)["status"].failed).toBe(3);
  expect(clock.jumps.map((ms) => Math.round(ms / 1000))).toEqual([10, 20]);
});

test("a deadline ends it, with what runs", async () => {
  await using cluster = await fakeCluster({ clock: jumpingClock() });
  cluster.apply("jobs.batch", job({ activeDeadlineSeconds: 60 }));
  await cluster.until(() => reason(cluster, "Failed") === "DeadlineExceeded" && pods(cluster).length === 0);
});

test("suspended, it has no pods until it's resumed", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("jobs.batch", job({ suspend: true }));
  await cluster.until(() => reason(cluster, "Suspended") === "JobSuspended");
  expect(pods(cluster)).toHaveLength(0);
  cluster.store.mutate("jobs.batch", "default", "work", (copy) => {
    copy["spec"].suspend = false;
  });
  await cluster.until(() => pods(cluster).length === 1);
});

test("a finished job goes after its time to live, and its pods with it", async () => {
  await using cluster = await fakeCluster({ clock: jumpingClock() });
  cluster.pods.phase = () => "Succeeded";
  cluster.apply("jobs.batch", job({ ttlSecondsAfterFinished: 100 }));
  await cluster.until(() => pods(cluster).length === 1);
  await cluster.until(() => get(cluster) === undefined && pods(cluster).length === 0);
});

test("a CronJob runs when it's told to, and at its times", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.phase = () => "Succeeded";
  cluster.apply("cronjobs.batch", {
    metadata: { name: "nightly" },
    spec: { schedule: "0 3 1 1 *", jobTemplate: { spec: { template } } },
  });
  const made = cluster.triggerCronJob("default", "nightly");
  expect(made.metadata).toMatchObject({
    name: expect.stringMatching(/^nightly-manual-/),
    annotations: { "cronjob.kubernetes.io/instantiate": "manual" },
    ownerReferences: [{ kind: "CronJob", name: "nightly" }],
  });
  const cron = () => cluster.store.get("cronjobs.batch", "default", "nightly")!["status"];
  await cluster.until(() => cron().lastSuccessfulTime !== undefined);
  expect(cron().active).toBeUndefined();
  expect(() => cluster.triggerCronJob("default", "none")).toThrow(/not found/);
});

test("a job that its CronJob's controller didn't make is seen, but isn't active", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.phase = () => "Running";
  cluster.apply("cronjobs.batch", {
    metadata: { name: "nightly" },
    spec: { schedule: "0 3 1 1 *", jobTemplate: { spec: { template } } },
  });
  const { metadata } = cluster.triggerCronJob("default", "nightly");
  const events = () => cluster.store.list("events", "default").filter((event) => event["reason"] === "UnexpectedJob");
  await cluster.until(() => events().length > 0);
  expect(events()[0]!["message"]).toBe(`Saw a job that the controller did not create or forgot: ${metadata.name}`);
  expect(cluster.store.get("cronjobs.batch", "default", "nightly")!["status"]?.active).toBeUndefined();
});

test("scheduled jobs follow the clock, one a time, and old ones go", async () => {
  let now = Date.UTC(2026, 0, 1, 0, 0, 30);
  const waiting: Array<() => void> = [];
  const clock: Clock = {
    now: () => now,
    after(_ms, run) {
      waiting.push(run);
      return () => {};
    },
  };
  await using cluster = await fakeCluster({ clock });
  cluster.pods.phase = () => "Succeeded";
  const cron = {
    metadata: { name: "often", creationTimestamp: "2026-01-01T00:00:30Z" },
    spec: { schedule: "*/5 * * * *", jobTemplate: { spec: { template } } },
  };
  cluster.store.create("cronjobs.batch", {
    apiVersion: "batch/v1",
    kind: "CronJob",
    ...cron,
    metadata: { ...cron.metadata, namespace: "default" },
  });
  const jobs = () => cluster.store.list("jobs.batch", "default");
  const times = () => jobs().map(({ metadata }) => metadata.annotations!["batch.kubernetes.io/cronjob-scheduled-timestamp"]);
  for (let round = 0; round < 5; round++) {
    await cluster.until(() => waiting.length > 0);
    now += 5 * 60_000;
    for (const run of waiting.splice(0)) run();
    await cluster.until(() => times().includes(`2026-01-01T00:${String(5 * (round + 1)).padStart(2, "0")}:00Z`));
    await cluster.until(() => jobs().every((entry) => entry["status"]?.completionTime));
  }
  await cluster.until(() => jobs().length === 3);
  expect(times()).toEqual(["2026-01-01T00:15:00Z", "2026-01-01T00:20:00Z", "2026-01-01T00:25:00Z"]);
});
