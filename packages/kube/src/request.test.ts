import { createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { connectCluster } from "./client.ts";
import { EXPIRED_SERVER, OTHER_CA, OTHER_NAME_SERVER, SERVER } from "./fixtures/certificates.ts";
import { kubeconfigText, sendJson, sendStatus, tempDir } from "./fixtures/fake-api.ts";
import { type World, type WorldOptions, world } from "./fixtures/world.ts";
import { CONFIG_MAPS, PODS, SERVICES } from "./objects.ts";

const empty = { metadata: {}, items: [] };
const failing = async (
  promise: Promise<unknown>,
): Promise<Error & { code: string; hint?: string; details?: Record<string, unknown> }> =>
  promise.then(
    () => {
      throw new Error("should have failed");
    },
    (error) => error,
  );
const against = (status: number, reason: string, message: string, details?: unknown, options?: WorldOptions): Promise<World> =>
  world((_request, response) => sendStatus(response, status, reason, message, details), options);

describe("what the API server refuses", () => {
  test("403 by RBAC: user, verb, resource, place and the very rule", async () => {
    await using w = await against(
      403,
      "Forbidden",
      'endpointslices.discovery.k8s.io is forbidden: User "jane" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "shop"',
    );
    const { ENDPOINT_SLICES } = await import("./objects.ts");
    const error = await failing(w.cluster.list(ENDPOINT_SLICES, { namespace: "shop" }));
    expect(error.code).toBe("KUBE_FORBIDDEN");
    expect(error.message).toBe(
      'user "jane" may not list endpointslices.discovery.k8s.io in namespace shop (verb list on endpointslices)',
    );
    expect(error.hint).toBe(
      'ask for this rule in a Role in namespace shop:\n- apiGroups: ["discovery.k8s.io"]\n  resources: ["endpointslices"]\n  verbs: ["list"]',
    );
    expect(error.details).toMatchObject({ status: 403, user: "jane", verb: "list", group: "discovery.k8s.io", namespace: "shop" });
    const everywhere = await failing(w.cluster.list(SERVICES));
    expect(everywhere.hint).toContain("a ClusterRole");
  });

  test("403 by a policy: no rule is made up", async () => {
    await using w = await against(403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"');
    const error = await failing(w.cluster.create(PODS, { metadata: { name: "x" }, spec: { containers: [] } }));
    expect(error).toMatchObject({ code: "KUBE_FORBIDDEN", hint: expect.stringContaining("policy") });
    expect(error.details).not.toHaveProperty("rule");
  });

  test("404, 409, 422 and what else", async () => {
    const check = async (status: number, reason: string, details: unknown, code: string): Promise<void> => {
      await using w = await against(status, reason, "because", details);
      expect((await failing(w.cluster.get(CONFIG_MAPS, { name: "m" }))).code).toBe(code);
    };
    await check(404, "NotFound", { name: "m", kind: "configmaps" }, "KUBE_NOT_FOUND");
    await check(404, "NotFound", {}, "KUBE_KIND_UNKNOWN");
    await check(409, "Conflict", undefined, "KUBE_CONFLICT");
    await check(410, "Expired", undefined, "KUBE_GONE");
    await check(422, "Invalid", undefined, "KUBE_INVALID");
    await check(400, "BadRequest", undefined, "KUBE_INVALID");
  });

  test("a page of HTML and a redirect are told as what they are, briefly", async () => {
    await using w = await world((request, response) => {
      if (request.url!.includes("configmaps")) response.writeHead(302, { Location: "https://login.example/sso" }).end();
      else
        response
          .writeHead(404, { "Content-Type": "text/html" })
          .end(`<html><style>p{}</style><h1>Nothing</h1>${"here ".repeat(100)}</html>`);
    });
    expect(await failing(w.cluster.list(CONFIG_MAPS))).toMatchObject({
      code: "KUBE_SERVER_ERROR",
      message: expect.stringContaining("login.example"),
    });
    const error = await failing(w.cluster.list(PODS));
    expect(error.code).toBe("KUBE_KIND_UNKNOWN");
    expect(error.message.length).toBeLessThan(200);
    w.api.answer((_request, response) => void response.writeHead(200).end("<html>welcome"));
    expect((await failing(w.cluster.list(PODS))).code).toBe("KUBE_PROTOCOL");
  });
});

describe("what is tried again", () => {
  test("429 waits as asked, for writes too", async () => {
    let count = 0;
    await using w = await world((_request, response) => {
      if (count++ === 0) return sendJson(response, 429, {}, { "Retry-After": "1" });
      sendJson(response, 200, { metadata: { name: "m" } });
    });
    const started = Date.now();
    await w.cluster.create(CONFIG_MAPS, { metadata: { name: "m" } });
    expect(Date.now() - started).toBeGreaterThanOrEqual(990);
    expect(count).toBe(2);
  });

  test("429 that asks for more than the time limit, or never ends, is an error", async () => {
    await using w = await world((_request, response) => sendJson(response, 429, {}, { "Retry-After": "3600" }), {
      requestTimeoutMs: 15_000,
    });
    expect(await failing(w.cluster.list(PODS))).toMatchObject({ code: "KUBE_THROTTLED", details: { retryAfterMs: 3_600_000 } });
    expect(w.api.requests).toHaveLength(1);
    w.api.answer((_request, response) => sendJson(response, 429, {}, { "Retry-After": "0" }));
    expect((await failing(w.cluster.list(PODS))).code).toBe("KUBE_THROTTLED");
    expect(w.api.requests.length).toBeLessThanOrEqual(6);
  });

  test("5xx: reads are repeated, writes are not", async () => {
    let count = 0;
    await using w = await world((_request, response) => {
      if (count++ < 2) return void response.writeHead(503).end("leader lost");
      sendJson(response, 200, empty);
    });
    await w.cluster.list(PODS);
    expect(count).toBe(3);
    count = 0;
    const error = await failing(w.cluster.create(CONFIG_MAPS, { metadata: { name: "m" } }));
    expect(error).toMatchObject({
      code: "KUBE_SERVER_ERROR",
      message: expect.stringContaining("leader lost"),
      details: { status: 503 },
    });
    expect(count).toBe(1);
  });

  test("a kept-alive connection that was closed meanwhile costs nothing", async () => {
    await using w = await world((_request, response) => sendJson(response, 200, empty));
    await w.cluster.list(PODS);
    for (const socket of w.api.sockets) socket.resetAndDestroy();
    await w.cluster.list(PODS);
    await w.cluster.list(PODS);
    expect(w.api.connections).toBe(2);
  });

  test("cut in the middle of the body: read again", async () => {
    let count = 0;
    await using w = await world((_request, response) => {
      if (count++ > 0) return sendJson(response, 200, empty);
      response.writeHead(200, { "Content-Length": 1000 });
      response.write('{"metadata":');
      setTimeout(() => response.socket?.destroy(), 20);
    });
    await w.cluster.list(PODS);
    expect(count).toBe(2);
  });
});

describe("time, size and number", () => {
  test("a server that doesn't answer, or stops in the middle: KUBE_TIMEOUT", async () => {
    await using w = await world(() => {}, { requestTimeoutMs: 200 });
    expect(await failing(w.cluster.list(PODS))).toMatchObject({ code: "KUBE_TIMEOUT", message: expect.stringContaining("0.2 s") });
    w.api.answer((_request, response) => {
      response.writeHead(200);
      response.write("{");
    });
    expect((await failing(w.cluster.list(PODS))).code).toBe("KUBE_TIMEOUT");
  });

  test("an abort ends a request at once, with its reason", async () => {
    await using w = await world(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("changed my mind")), 50);
    expect((await failing(w.cluster.list(PODS, { signal: abort.signal }))).message).toBe("changed my mind");
    expect((await failing(w.cluster.get(PODS, { name: "a" }, { signal: AbortSignal.abort(new Error("before")) }))).message).toBe(
      "before",
    );
  });

  test("closing ends what is under way with KUBE_CLOSED, and lets nothing begin", async () => {
    await using w = await world(() => {});
    const pending = failing(w.cluster.list(PODS));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await w.cluster.close();
    await w.cluster.close();
    expect((await pending).code).toBe("KUBE_CLOSED");
    expect((await failing(w.cluster.list(PODS))).code).toBe("KUBE_CLOSED");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(w.api.sockets.size).toBe(0);
  });

  test("100 requests at once share 8 connections, beside watches", async () => {
    await using w = await world((request, response) => {
      if (request.url!.includes("watch=true")) {
        response.writeHead(200);
        response.flushHeaders();
      } else setTimeout(() => sendJson(response, 200, { metadata: { resourceVersion: "1" }, items: [] }), 5);
    });
    const watches = Array.from({ length: 12 }, () => w.cluster.watch(SERVICES));
    await Promise.all(watches.map((watch) => watch.synced));
    await Promise.all(Array.from({ length: 100 }, () => w.cluster.list(PODS)));
    expect(w.api.connections).toBeLessThanOrEqual(8 + watches.length);
  });

  test("answers come compressed where the server likes", async () => {
    await using w = await world((request, response) => {
      expect(request.headers["accept-encoding"]).toBe("gzip");
      response.writeHead(200, { "Content-Encoding": "gzip" });
      response.end(gzipSync(JSON.stringify({ metadata: {}, items: [{ metadata: { name: "ü" } }] })));
    });
    expect((await w.cluster.list(PODS))[0]!.metadata.name).toBe("ü");
  });
});

describe("below HTTP", () => {
  const to = async (server: string, cluster?: Record<string, unknown>): Promise<Error & { code: string }> => {
    await using dir = await tempDir();
    const kubeconfig = await dir.write("config", kubeconfigText({ server, ...(cluster && { cluster }) }));
    await using connection = await connectCluster({ kubeconfig, requestTimeoutMs: 3_000 });
    return await failing(connection.version());
  };

  test("nobody there, no such name: KUBE_UNREACHABLE with address and reason", async () => {
    expect(await to("https://127.0.0.1:1")).toMatchObject({
      code: "KUBE_UNREACHABLE",
      message: "GET /version: https://127.0.0.1:1 can't be reached: connection refused",
      details: { server: "https://127.0.0.1:1", reason: "ECONNREFUSED" },
    });
    expect(await to("https://no-such-host.invalid")).toMatchObject({ code: "KUBE_UNREACHABLE" });
  });

  test("certificates: unknown authority, expired, another name; and the two ways to allow the last", async () => {
    const answers = (tls: WorldOptions["tls"], cluster?: Record<string, unknown>) =>
      world((_request, response) => sendJson(response, 200, { major: "1" }), {
        ...(tls && { tls }),
        ...(cluster && { config: { cluster } }),
      });
    const data = (pem: string) => ({ "certificate-authority-data": Buffer.from(pem).toString("base64") });
    const { CA } = await import("./fixtures/certificates.ts");
    {
      await using w = await answers(SERVER, data(OTHER_CA));
      expect(await failing(w.cluster.version())).toMatchObject({
        code: "KUBE_TLS",
        hint: expect.stringContaining("certificate-authority"),
      });
    }
    {
      await using w = await answers(EXPIRED_SERVER);
      expect(await failing(w.cluster.version())).toMatchObject({ code: "KUBE_TLS", message: expect.stringContaining("expired") });
    }
    {
      await using w = await answers(OTHER_NAME_SERVER);
      expect(await failing(w.cluster.version())).toMatchObject({
        code: "KUBE_TLS",
        message: expect.stringContaining("another name"),
      });
    }
    {
      await using w = await answers(OTHER_NAME_SERVER, { ...data(CA), "tls-server-name": "elsewhere.example" });
      expect((await w.cluster.version()).major).toBe("1");
    }
    {
      await using w = await answers(EXPIRED_SERVER, { "insecure-skip-tls-verify": true });
      expect((await w.cluster.version()).major).toBe("1");
    }
  });

  test("a server that speaks no TLS, and one that hangs up", async () => {
    const sockets = new Set<Socket>();
    const serve = async (onConnection: (socket: Socket) => void): Promise<[number, () => void]> => {
      const server = createServer((socket) => {
        sockets.add(socket.on("error", () => {}));
        onConnection(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return [(server.address() as { port: number }).port, () => void server.close()];
    };
    const [plain, closePlain] = await serve((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const [mute, closeMute] = await serve((socket) => socket.resetAndDestroy());
    expect((await to(`https://127.0.0.1:${plain}`)).code).toBe("KUBE_TLS");
    expect((await to(`https://127.0.0.1:${mute}`)).code).toBe("KUBE_UNREACHABLE");
    for (const socket of sockets) socket.destroy();
    closePlain();
    closeMute();
  });
});
