import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { silentLogger } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { requestToken } from "./token.ts";
import { openTokens } from "./tokens.ts";

/** As much of an API server as gives tokens. */
const asked: Array<{ url: string | undefined; body: unknown }> = [];
const lifetimeMs = 3_600_000;
let forbidden = false;
const server = createServer(async (request: IncomingMessage, response) => {
  const body = await json(request);
  asked.push({ url: request.url, body });
  response.setHeader("Content-Type", "application/json");
  if (forbidden) {
    response.statusCode = 403;
    const message = 'serviceaccounts "app" is forbidden: User "dev" cannot create resource "serviceaccounts/token"';
    response.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", reason: "Forbidden", code: 403, message }));
    return;
  }
  response.statusCode = 201;
  const status = { token: `token-${asked.length}`, expirationTimestamp: new Date(Date.now() + lifetimeMs).toISOString() };
  response.end(JSON.stringify({ ...(body as object), status }));
});
let cluster: Cluster;
let scratch: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  scratch = await mkdtemp(join(tmpdir(), "token-"));
  const kubeconfig = join(scratch, "config");
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "x",
      clusters: [{ name: "x", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "x", user: {} }],
      contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    }),
  );
  cluster = await connectCluster({ kubeconfig });
});
afterAll(async () => {
  await cluster.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(scratch, { recursive: true, force: true });
});

beforeEach(() => {
  asked.length = 0;
  forbidden = false;
});

const request = { namespace: "shop", serviceAccount: "app", expirationSeconds: 3_607, signal: new AbortController().signal };

it("posts a TokenRequest to the service account, and tells when a fresh one is due", async () => {
  const now = Date.now();
  const { token, renewAt } = await requestToken(cluster, { ...request, audience: "vault" }, now);
  expect(token).toBe("token-1");
  expect(asked[0]!.url).toMatch(/^\/api\/v1\/namespaces\/shop\/serviceaccounts\/app\/token(\?|$)/);
  expect(asked[0]!.body).toMatchObject({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { audiences: ["vault"], expirationSeconds: 3_607 },
  });
  expect((renewAt - now) / lifetimeMs).toBeCloseTo(0.8, 1);
});

it("says what the Role must allow", async () => {
  forbidden = true;
  await expect(requestToken(cluster, request)).rejects.toMatchObject({
    code: "VOLUMES_TOKEN_REFUSED",
    cause: { code: "KUBE_FORBIDDEN" },
    hint: expect.stringContaining('resources ["serviceaccounts/token"], resourceNames ["app"]'),
  });
  forbidden = false;
});

it("keeps a token until a fresh one is due, then says so, and keeps the old one while there is none", async () => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  try {
    let due = 0;
    const tokens = openTokens(cluster, { ...request, logger: silentLogger, onDue: () => due++ });
    const wish = { expirationSeconds: 600 };
    const first = await tokens.token(wish);
    vi.advanceTimersByTime(lifetimeMs * 0.79);
    expect(await tokens.token(wish)).toBe(first);
    expect(due).toBe(0);
    vi.advanceTimersByTime(lifetimeMs * 0.02);
    expect(due).toBe(1);
    forbidden = true;
    expect(await tokens.token(wish)).toBe(first);
    forbidden = false;
    vi.advanceTimersByTime(60_000);
    expect(due).toBe(2);
    expect(await tokens.token(wish)).not.toBe(first);
    tokens.close();
  } finally {
    vi.useRealTimers();
  }
});
