import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { eventually } from "./fixtures/eventually.ts";
import { sendJson, sendStatus } from "./fixtures/fake-api.ts";
import { world } from "./fixtures/world.ts";
import { ENDPOINT_SLICES, SERVICES, type Service } from "./objects.ts";
import type { Watch } from "./watch.ts";

const service = (name: string, version: number, uid = `uid-${name}`) => ({
  metadata: { name, namespace: "shop", uid, resourceVersion: String(version) },
  spec: {},
});
const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;
const isWatch = (url: string | undefined): boolean => new URL(url!, "https://x").searchParams.get("watch") === "true";
const versionOf = (url: string | undefined): string | null => new URL(url!, "https://x").searchParams.get("resourceVersion");

/** "added a@1", … as they come. */
function record(watch: Watch<Service>): string[] {
  const seen: string[] = [];
  watch.events.on("change", ({ type, object }) => seen.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}`));
  return seen;
}

const open = (response: ServerResponse): void => {
  response.writeHead(200, { "Content-Type": "application/json" });
  response.flushHeaders();
};

describe("a watch over the wire", () => {
  test("list, then what changes; bookmarks move the version on; a cut in the middle of a character loses nothing", async () => {
    const watches: string[] = [];
    let stream!: ServerResponse;
    await using w = await world((request, response) => {
      if (!isWatch(request.url)) return sendJson(response, 200, { metadata: { resourceVersion: "5" }, items: [service("a", 1)] });
      watches.push(versionOf(request.url)!);
      open(response);
      stream = response;
    });
    await using watch = w.cluster.watch(SERVICES);
    const seen = record(watch);
    await watch.synced;
    await eventually(() => expect(watch.state.status).toBe("live"));
    const text = Buffer.from(line("ADDED", service("grün", 6)) + line("MODIFIED", service("a", 7)));
    const cut = text.indexOf(0xc3) + 1;
    stream.write(text.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 20));
    stream.write(text.subarray(cut));
    stream.write(line("DELETED", service("a", 8)) + line("BOOKMARK", { metadata: { resourceVersion: "20" } }));
    await eventually(() => expect(seen).toEqual(["added a@1", "added grün@6", "modified a@7", "deleted a@8"]));
    stream.end();
    await eventually(() => expect(watches).toEqual(["5", "20"]));
    expect([...watch.items.keys()]).toEqual(["shop/grün"]);
  });

  test("300 services and their slices cost two lists and two watches", async () => {
    await using w = await world((request, response) => {
      if (isWatch(request.url)) return open(response);
      sendJson(response, 200, {
        metadata: { resourceVersion: "5" },
        items: Array.from({ length: 300 }, (_, i) => service(`s${i}`, i)),
      });
    });
    await using services = w.cluster.watch(SERVICES);
    await using slices = w.cluster.watch(ENDPOINT_SLICES);
    await eventually(() => expect([services.state.status, slices.state.status]).toEqual(["live", "live"]));
    expect(services.items.size).toBe(300);
    expect(w.api.requests.map((request) => request.replace(/timeoutSeconds=\d+/, "timeoutSeconds=N")).sort()).toEqual([
      "GET /api/v1/services?limit=500",
      "GET /api/v1/services?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=N",
      "GET /apis/discovery.k8s.io/v1/endpointslices?limit=500",
      "GET /apis/discovery.k8s.io/v1/endpointslices?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=N",
    ]);
    expect(w.api.connections).toBeLessThanOrEqual(4);
  });

  test("410 in mid-stream: lists again and emits the differences only", async () => {
    let lists = 0;
    let stream!: ServerResponse;
    await using w = await world((request, response) => {
      if (!isWatch(request.url)) {
        const items =
          lists++ === 0
            ? [service("same", 1), service("changed", 2), service("gone", 3), service("anew", 4)]
            : [service("same", 1), service("changed", 9), service("new", 8), service("anew", 7, "other-uid")];
        return sendJson(response, 200, { metadata: { resourceVersion: String(lists * 10) }, items });
      }
      open(response);
      stream = response;
    });
    await using watch = w.cluster.watch(SERVICES);
    const states: string[] = [];
    watch.events.on("state", (state) =>
      states.push(state.status === "stale" ? `stale ${(state.error as Error & { code: string }).code}` : state.status),
    );
    await watch.synced;
    const seen = record(watch);
    await eventually(() => expect(states).toEqual(["live"]));
    stream.write(line("ERROR", { kind: "Status", code: 410, reason: "Expired", message: "too old resource version: 3 (9)" }));
    await eventually(() => expect(states).toEqual(["live", "stale KUBE_GONE", "live"]));
    expect(seen.sort()).toEqual(["added anew@7", "added new@8", "deleted anew@4", "deleted gone@3", "modified changed@9"]);
  });

  test("a connection that went silent is replaced, though nobody closed it", async () => {
    const streams: ServerResponse[] = [];
    await using w = await world(
      (request, response) => {
        if (!isWatch(request.url)) return sendJson(response, 200, { metadata: { resourceVersion: "5" }, items: [] });
        open(response);
        streams.push(response);
        if (streams.length === 2) response.write(line("ADDED", service("late", 6)));
      },
      { watchInactivityMs: 300 },
    );
    await using watch = w.cluster.watch(SERVICES);
    const states: string[] = [];
    watch.events.on("state", (state) => states.push(state.status));
    await watch.synced;
    const seen = record(watch);
    await eventually(() => expect(seen).toEqual(["added late@6"]));
    expect(states.slice(0, 3)).toEqual(["live", "stale", "live"]);
    // The second is kept alive by its bookmarks.
    const keep = setInterval(() => streams[1]!.write(line("BOOKMARK", { metadata: { resourceVersion: "7" } })), 100);
    await new Promise((resolve) => setTimeout(resolve, 900));
    clearInterval(keep);
    expect(streams.length).toBe(2);
    expect(watch.state.status).toBe("live");
  });

  test("forbidden: synced rejects with the rule, and nobody has to listen", async () => {
    await using w = await world((_request, response) =>
      sendStatus(
        response,
        403,
        "Forbidden",
        'services is forbidden: User "jane" cannot list resource "services" in API group "" at the cluster scope',
      ),
    );
    await using watch = w.cluster.watch(SERVICES);
    await expect(watch.synced).rejects.toMatchObject({ code: "KUBE_FORBIDDEN", details: { verb: "list", user: "jane" } });
    expect(watch.state.status).toBe("stale");
    await using _unheard = w.cluster.watch(SERVICES);
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
});
