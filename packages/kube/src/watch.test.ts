import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kubeError } from "./errors.ts";
import { eventually } from "./fixtures/eventually.ts";
import type { KubeObject } from "./objects.ts";
import { createWatch, type ManagedWatch, type WatchChange, type WatchLine, type WatchOptions, type WatchSource } from "./watch.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const options = (more: Partial<WatchOptions> = {}): WatchOptions => ({
  inactivityMs: 60_000,
  logger: silent,
  what: "watch things",
  backoff: { baseMs: 1, maxMs: 4 },
  ...more,
});

/** An API server's memory: versions, history, and watches that can be broken in every way. */
function fakeServer() {
  let version = 10;
  let uids = 0;
  let compacted = 0;
  let trouble: "none" | "lists fail" | "watches fail" = "none";
  const objects = new Map<string, KubeObject>();
  const history: Array<WatchLine<KubeObject> & { version: number }> = [];
  const open = new Set<{ line(line: WatchLine<KubeObject>): void; fail(error?: Error): void; muted: boolean }>();
  const counts = { lists: 0, watches: 0 };

  const record = (type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void => {
    history.push({ type, object, version });
    for (const watch of open) if (!watch.muted) watch.line({ type, object });
  };
  const gone = (): Error => kubeError("KUBE_GONE", "too old");
  const source: WatchSource<KubeObject> = {
    async list(signal) {
      counts.lists++;
      await sleep(0);
      signal.throwIfAborted();
      if (trouble === "lists fail") throw kubeError("KUBE_SERVER_ERROR", "500");
      return { items: [...objects.values()].map((object) => structuredClone(object)), resourceVersion: String(version) };
    },
    watch({ resourceVersion, signal }, on) {
      counts.watches++;
      return new Promise((resolve, reject) => {
        if (trouble === "watches fail") return reject(kubeError("KUBE_UNREACHABLE", "refused"));
        const from = Number(resourceVersion);
        if (from < compacted) return reject(gone());
        const finish = (error?: Error): void => {
          open.delete(watch);
          if (error) reject(error);
          else resolve();
        };
        const watch = {
          muted: false,
          fail: finish,
          line(line: WatchLine<KubeObject>) {
            try {
              on.line(structuredClone(line));
            } catch (error) {
              finish(error as Error);
            }
          },
        };
        open.add(watch);
        signal.addEventListener("abort", () => finish(signal.reason), { once: true });
        on.open();
        for (const line of history) if (line.version > from) watch.line(line);
      });
    },
    errorOf: (status) => ((status as { code?: number }).code === 410 ? gone() : kubeError("KUBE_SERVER_ERROR", "500")),
  };
  return {
    source,
    objects,
    open,
    counts,
    put(name: string) {
      const old = objects.get(name);
      const metadata = { name, namespace: "n", uid: old?.metadata.uid ?? `uid${uids++}`, resourceVersion: String(++version) };
      objects.set(name, { metadata });
      record(old ? "MODIFIED" : "ADDED", { metadata });
    },
    remove(name: string) {
      const old = objects.get(name);
      if (!old) return;
      objects.delete(name);
      record("DELETED", { metadata: { ...old.metadata, resourceVersion: String(++version) } });
    },
    bookmark() {
      for (const watch of open)
        if (!watch.muted)
          watch.line({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(version) } as KubeObject["metadata"] } });
    },
    cut: () => {
      for (const watch of [...open]) watch.fail(kubeError("KUBE_UNREACHABLE", "reset"));
    },
    end: () => {
      for (const watch of [...open]) watch.fail();
    },
    mute: () => {
      for (const watch of open) watch.muted = true;
    },
    compact() {
      compacted = version;
      history.length = 0;
    },
    errorLine: (code: number) => {
      for (const watch of [...open]) watch.line({ type: "ERROR", object: { code } as unknown as KubeObject });
    },
    trouble(next: typeof trouble) {
      trouble = next;
    },
  };
}

/** Replays what is emitted and complains about what may not be. */
function audit(watch: ManagedWatch<KubeObject>): { model: Map<string, KubeObject>; wrong: string[] } {
  const model = new Map<string, KubeObject>();
  const wrong: string[] = [];
  const versions = new Set<string>();
  watch.events.on("change", ({ type, object, previous }: WatchChange<KubeObject>) => {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const had = model.get(key);
    if ((type === "added") !== (had === undefined)) wrong.push(`${type} of ${key} when it was ${had ? "there" : "not there"}`);
    if (type === "modified" && had?.metadata.uid !== object.metadata.uid) wrong.push(`${key} became another object by ${type}`);
    if (previous?.metadata.resourceVersion !== had?.metadata.resourceVersion) wrong.push(`${type} of ${key}: not the previous one`);
    if (type !== "deleted") {
      const version = `${object.metadata.uid}@${object.metadata.resourceVersion}`;
      if (versions.has(version)) wrong.push(`${version} twice`);
      versions.add(version);
      model.set(key, object);
    } else model.delete(key);
  });
  return { model, wrong };
}

const snapshot = (objects: Iterable<[string, KubeObject]>): string[] =>
  [...objects].map(([, { metadata }]) => `${metadata.name}@${metadata.resourceVersion}`).sort();

describe("whatever happens to the connection", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    { weight: 8, arbitrary: name.map((n) => ["put", n] as const) },
    { weight: 4, arbitrary: name.map((n) => ["remove", n] as const) },
    { weight: 8, arbitrary: fc.constant(["wait"] as const) },
    {
      weight: 8,
      arbitrary: fc
        .constantFrom(["cut"], ["end"], ["mute"], ["compact"], ["bookmark"], ["gone"], ["error"], ["down"], ["lists down"], ["up"])
        .map((s) => s as [string]),
    },
  );

  test("in the end it holds what the server holds, and has emitted each version once and in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
        const server = fakeServer();
        server.put("a");
        await using watch = createWatch(server.source, options({ inactivityMs: 15 }));
        const { model, wrong } = audit(watch);
        for (const [what, n] of steps as Array<[string, string?]>) {
          if (what === "put") server.put(n!);
          else if (what === "remove") server.remove(n!);
          else if (what === "cut") server.cut();
          else if (what === "end") server.end();
          else if (what === "mute") server.mute();
          else if (what === "compact") server.compact();
          else if (what === "bookmark") server.bookmark();
          else if (what === "gone") server.errorLine(410);
          else if (what === "error") server.errorLine(500);
          else if (what === "down") server.trouble("watches fail");
          else if (what === "lists down") server.trouble("lists fail");
          else if (what === "up") server.trouble("none");
          else await sleep(3);
        }
        server.trouble("none");
        await watch.synced;
        await eventually(() => expect(snapshot(watch.items)).toEqual(snapshot(server.objects)));
        expect(snapshot(model)).toEqual(snapshot(server.objects));
        expect(wrong).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("state", () => {
  test("connecting, live, stale while it reconnects, live again", async () => {
    const server = fakeServer();
    await using watch = createWatch(server.source, options());
    const states: string[] = [watch.state.status];
    watch.events.on("state", ({ status }) => states.push(status));
    await eventually(() => expect(watch.state.status).toBe("live"));
    server.end();
    await sleep(20);
    expect(states).toEqual(["connecting", "live"]);
    server.trouble("watches fail");
    server.cut();
    await eventually(() => expect(watch.state).toMatchObject({ status: "stale", error: { code: "KUBE_UNREACHABLE" } }));
    server.trouble("none");
    await eventually(() => expect(watch.state.status).toBe("live"));
    expect(server.counts.lists).toBe(1);
  });

  test("unreachable at first: synced waits and then resolves", async () => {
    const server = fakeServer();
    server.trouble("lists fail");
    await using watch = createWatch(server.source, options());
    await eventually(() => expect(watch.state.status).toBe("stale"));
    server.trouble("none");
    await watch.synced;
  });

  test("hopeless: synced rejects, yet it goes on, slowly, and comes to life when it is allowed", async () => {
    const server = fakeServer();
    let allowed = false;
    const source: WatchSource<KubeObject> = {
      ...server.source,
      list: (signal) => (allowed ? server.source.list(signal) : Promise.reject(kubeError("KUBE_FORBIDDEN", "no"))),
    };
    await using watch = createWatch(source, options());
    await expect(watch.synced).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
    allowed = true;
    await eventually(() => expect(watch.state.status).toBe("live"));
  });

  test("a listener that throws is reported and disturbs nobody", async () => {
    const server = fakeServer();
    const errors: string[] = [];
    await using watch = createWatch(
      server.source,
      options({ logger: { ...silent, error: (message) => void errors.push(message) } }),
    );
    await watch.synced;
    watch.events.on("change", () => {
      throw new Error("mine");
    });
    await eventually(() => expect(watch.state.status).toBe("live"));
    server.put("x");
    await eventually(() => expect(watch.items.size).toBe(1));
    expect(errors).toEqual(["a listener of watch things threw"]);
    expect(watch.state.status).toBe("live");
  });
});

describe("pace", () => {
  test("a server that fails at once is not hammered", async () => {
    const server = fakeServer();
    server.trouble("lists fail");
    await using _watch = createWatch(server.source, options({ backoff: { baseMs: 20, maxMs: 200 } }));
    await sleep(600);
    await eventually(() => expect(server.counts.lists).toBeGreaterThan(3));
    expect(server.counts.lists).toBeLessThan(30);
  });

  test("a server that says when to come back is given that time", async () => {
    const server = fakeServer();
    let lists = 0;
    const source: WatchSource<KubeObject> = {
      ...server.source,
      list: (signal) =>
        lists++ === 0
          ? Promise.reject(kubeError("KUBE_THROTTLED", "429", { details: { retryAfterMs: 200 } }))
          : server.source.list(signal),
    };
    const started = Date.now();
    await using watch = createWatch(source, options());
    await watch.synced;
    expect(Date.now() - started).toBeGreaterThanOrEqual(195);
  });

  test("watches that end at once, in good order, are not hammered either", async () => {
    const server = fakeServer();
    await using _watch = createWatch(server.source, options({ backoff: { baseMs: 20, maxMs: 200 } }));
    const ending = setInterval(server.end, 1);
    await sleep(500);
    clearInterval(ending);
    expect(server.counts.watches).toBeLessThan(30);
    expect(server.counts.lists).toBe(1);
  });

  test("revalidate connects anew at once, also out of a long wait", async () => {
    const server = fakeServer();
    await using watch = createWatch(server.source, options({ backoff: { baseMs: 60_000, maxMs: 60_000 } }));
    await eventually(() => expect(server.open.size).toBe(1));
    server.mute();
    server.put("unseen");
    watch.revalidate();
    await eventually(() => expect([...watch.items.keys()]).toEqual(["n/unseen"]));
    server.cut();
    await eventually(() => expect(watch.state.status).toBe("stale"));
    watch.revalidate();
    await eventually(() => expect(watch.state.status).toBe("live"));
  });
});

describe("closing", () => {
  test("at any moment: idempotent, awaited, nothing emitted after", async () => {
    for (const wait of [0, 1, 3, 10]) {
      const server = fakeServer();
      server.put("a");
      if (wait === 3) server.trouble("lists fail");
      const watch = createWatch(server.source, options({ backoff: { baseMs: 60_000, maxMs: 60_000 } }));
      await sleep(wait);
      const seen: unknown[] = [];
      await Promise.all([watch.close(), watch.close()]);
      watch.events.on("change", (change) => seen.push(change));
      server.put("b");
      await sleep(5);
      expect(seen).toEqual([]);
      expect(server.open.size).toBe(0);
      if (wait === 3) await expect(watch.synced).rejects.toMatchObject({ code: "KUBE_CLOSED" });
    }
  });
});
