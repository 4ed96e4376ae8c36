import { readFile } from "node:fs/promises";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { connectCluster } from "./client.ts";
import { CA, JANE, JOAN } from "./fixtures/certificates.ts";
import { type Answer, fakeApi, kubeconfigText, sendJson, sendStatus, tempDir } from "./fixtures/fake-api.ts";
import { writePlugin } from "./fixtures/plugin.ts";
import { world } from "./fixtures/world.ts";
import { PODS } from "./objects.ts";

const V1 = "client.authentication.k8s.io/v1";
const exec = (command: string) => ({ exec: { apiVersion: V1, command, interactiveMode: "Never" } });
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Answers with what it was asked with. */
const mirror: Answer = (request, response) => sendJson(response, 200, { major: "1", headers: request.headers });
const headersOf = async (user: Record<string, unknown>): Promise<Record<string, string>> => {
  await using w = await world(mirror, { user: async () => user });
  return ((await w.cluster.version()) as unknown as { headers: Record<string, string> }).headers;
};
/** Lets only these tokens in. */
const only =
  (good: () => string): Answer =>
  (request, response) =>
    request.headers.authorization === `Bearer ${good()}`
      ? sendJson(response, 200, { metadata: {}, items: [] })
      : sendStatus(response, 401, "Unauthorized", "Unauthorized");

describe("what the kubeconfig's user says", () => {
  test("token, user and password, impersonation", async () => {
    expect((await headersOf({ token: "abc" }))["authorization"]).toBe("Bearer abc");
    expect((await headersOf({ username: "u", password: "p:q" }))["authorization"]).toBe(`Basic ${base64("u:p:q")}`);
    const acted = await headersOf({
      token: "t",
      as: "jane",
      "as-uid": "7",
      "as-groups": ["a", "b"],
      "as-user-extra": { "x/y": ["1"] },
    });
    expect(acted).toMatchObject({
      "impersonate-user": "jane",
      "impersonate-uid": "7",
      "impersonate-group": "a, b",
      "impersonate-extra-x%2fy": "1",
    });
    expect((await headersOf({}))["authorization"]).toBeUndefined();
  });

  test("a client certificate, as data and as files", async () => {
    await using api = await fakeApi(
      (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate();
        sendJson(response, 200, { major: subject?.CN ?? "nobody" });
      },
      { requestCert: true },
    );
    await using dir = await tempDir();
    await dir.write("joan.crt", JOAN.cert);
    await dir.write("joan.key", JOAN.key);
    const data = { "client-certificate-data": base64(JANE.cert), "client-key-data": base64(JANE.key) };
    const files = { "client-certificate": "joan.crt", "client-key": "joan.key" };
    const asked = async (user: Record<string, unknown>): Promise<string> => {
      await using cluster = await connectCluster({
        kubeconfig: await dir.write("config", kubeconfigText({ server: api.url, user })),
      });
      return (await cluster.version()).major;
    };
    expect(await asked(data)).toBe("jane");
    expect(await asked(files)).toBe("joan");
    // As kubectl: data wins over the file.
    expect(await asked({ ...files, ...data })).toBe("jane");
    expect(await asked({})).toBe("nobody");
  });

  test("a token file is read anew after a 401", async () => {
    let good = "first";
    await using w = await world(
      only(() => good),
      {
        user: async (dir) => ({ tokenFile: await dir.write("token", "first\n") }),
      },
    );
    await w.cluster.list(PODS);
    good = "second";
    await w.dir.write("token", "second\n");
    await w.cluster.list(PODS);
    expect(w.api.requests).toHaveLength(3);
  });
});

describe("a credential plugin", () => {
  test("runs once for many requests, and not before the first", async () => {
    let log = "";
    await using w = await world(
      only(() => "t1"),
      {
        user: async (dir) => {
          const plugin = await writePlugin(dir, `log("run"); answer({ token: "t" + runs() });`);
          log = plugin.log;
          return exec(plugin.command);
        },
      },
    );
    await expect(readFile(log)).rejects.toMatchObject({ code: "ENOENT" });
    await Promise.all(Array.from({ length: 20 }, () => w.cluster.list(PODS)));
    expect(await readFile(log, "utf8")).toBe("run\n");
  });

  test("runs again when its credential expires, and when the server refuses it: once for all that were refused", async () => {
    let good = "t1";
    let log = "";
    await using w = await world(
      only(() => good),
      {
        user: async (dir) => {
          const plugin = await writePlugin(
            dir,
            `log("run"); answer({ token: "t" + runs(), expirationTimestamp: runs() === 2 ? new Date(Date.now() + 300).toISOString() : undefined });`,
          );
          log = plugin.log;
          return exec(plugin.command);
        },
      },
    );
    const runs = async (): Promise<number> => (await readFile(log, "utf8")).trim().split("\n").length;
    await w.cluster.list(PODS);
    good = "t2";
    await Promise.all(Array.from({ length: 10 }, () => w.cluster.list(PODS)));
    expect(await runs()).toBe(2);
    // The second lives for 300 ms.
    await new Promise((resolve) => setTimeout(resolve, 400));
    good = "t3";
    const before = w.api.requests.length;
    await w.cluster.list(PODS);
    expect(await runs()).toBe(3);
    expect(w.api.requests.length).toBe(before + 1);
  });

  test("whose credentials are never good: KUBE_UNAUTHORIZED after one refresh", async () => {
    await using w = await world(
      only(() => "never"),
      {
        user: async (dir) => exec((await writePlugin(dir, `log("run"); answer({ token: "t" + runs() });`)).command),
      },
    );
    await expect(w.cluster.list(PODS)).rejects.toMatchObject({
      code: "KUBE_UNAUTHORIZED",
      hint: expect.stringContaining("log in"),
    });
    expect(w.api.requests).toHaveLength(2);
  });

  test("that fails is asked anew at the next request", async () => {
    await using w = await world(
      only(() => "t2"),
      {
        user: async (dir) =>
          exec(
            (
              await writePlugin(
                dir,
                `log("run"); if (runs() === 1) { console.error("expired"); process.exit(1); } answer({ token: "t2" });`,
              )
            ).command,
          ),
      },
    );
    await expect(w.cluster.list(PODS)).rejects.toMatchObject({
      code: "KUBE_AUTH_PLUGIN_FAILED",
      message: expect.stringContaining("expired"),
    });
    expect(await w.cluster.list(PODS)).toEqual([]);
  });

  test("may take longer than a request: a person may be logging in", async () => {
    await using w = await world(
      only(() => "t"),
      {
        requestTimeoutMs: 500,
        user: async (dir) => exec((await writePlugin(dir, `setTimeout(() => answer({ token: "t" }), 1_200)`)).command),
      },
    );
    expect(await w.cluster.list(PODS)).toEqual([]);
  });

  test("that hangs ends with KUBE_AUTH_PLUGIN_TIMEOUT, also for a watch's synced", async () => {
    await using w = await world(mirror, {
      authPluginTimeoutMs: 400,
      user: async (dir) => exec((await writePlugin(dir, `setInterval(() => {}, 1000)`)).command),
    });
    await expect(w.cluster.list(PODS)).rejects.toMatchObject({ code: "KUBE_AUTH_PLUGIN_TIMEOUT" });
    await using watch = w.cluster.watch(PODS);
    await expect(watch.synced).rejects.toMatchObject({ code: "KUBE_AUTH_PLUGIN_TIMEOUT" });
  });

  test("that gives client certificates: a new one means new connections", async () => {
    const seen: string[] = [];
    await using dir = await tempDir();
    await dir.write("pairs.json", JSON.stringify([JANE, JOAN]));
    const plugin = await writePlugin(
      dir,
      `log("run"); const pair = JSON.parse(fs.readFileSync(__dirname + "/pairs.json"))[runs() - 1]; answer({ clientCertificateData: pair.cert, clientKeyData: pair.key });`,
    );
    await using api = await fakeApi(
      (request, response) => {
        const name = String((request.socket as TLSSocket).getPeerCertificate().subject?.CN);
        seen.push(name);
        if (seen.length === 2) return sendStatus(response, 401, "Unauthorized", "certificate expired");
        sendJson(response, 200, { metadata: {}, items: [] });
      },
      { requestCert: true },
    );
    const kubeconfig = await dir.write("config", kubeconfigText({ server: api.url, user: exec(plugin.command) }));
    await using cluster = await connectCluster({ kubeconfig });
    await cluster.list(PODS);
    await cluster.list(PODS);
    expect(seen).toEqual(["jane", "jane", "joan"]);
  });
});

describe("OIDC", () => {
  const url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600;
  const jwt = (claims: object): string => `${url({ alg: "RS256" })}.${url(claims)}.c2ln`;
  const provider = (token: string, more = {}) => ({ "auth-provider": { name: "oidc", config: { "id-token": token, ...more } } });

  test("a token that is valid is sent", async () => {
    const good = jwt({ exp: inAnHour() });
    expect((await headersOf(provider(good)))["authorization"]).toBe(`Bearer ${good}`);
  });

  test("one that has ended is refreshed at the issuer, once for many requests", async () => {
    let refreshes = 0;
    let issued = "";
    await using issuer = await fakeApi((request, response) => {
      const iss = issuer.url;
      if (request.url === "/.well-known/openid-configuration")
        return sendJson(response, 200, { issuer: iss, token_endpoint: `${iss}/token` });
      refreshes++;
      issued = jwt({ iss, aud: "c", sub: "jane", iat: Math.floor(Date.now() / 1000), exp: inAnHour() });
      sendJson(response, 200, { access_token: "a", token_type: "bearer", id_token: issued, refresh_token: "r2", expires_in: 3600 });
    });
    const config = {
      "client-id": "c",
      "refresh-token": "r",
      "idp-issuer-url": issuer.url,
      "idp-certificate-authority-data": base64(CA),
    };
    await using w = await world(
      only(() => issued),
      { user: async () => provider(jwt({ exp: 1 }), config) },
    );
    for (let i = 0; i < 5; i++) await w.cluster.list(PODS);
    expect(refreshes).toBe(1);
  });

  test("one that the server refuses is refreshed, one that can't be is KUBE_UNAUTHORIZED", async () => {
    let answer: [number, object] = [400, { error: "invalid_grant" }];
    await using issuer = await fakeApi((request, response) => {
      if (request.method === "GET") return sendJson(response, 200, { token_endpoint: `${issuer.url}/token` });
      sendJson(response, ...answer);
    });
    await using dir = await tempDir();
    await dir.write("idp.pem", CA);
    const config = {
      "client-id": "c",
      "client-secret": "s",
      "refresh-token": "r",
      "idp-issuer-url": `${issuer.url}/`,
      "idp-certificate-authority": `${dir.path}/idp.pem`,
    };
    const fresh = jwt({ exp: inAnHour(), jti: "2" });
    await using w = await world(
      only(() => fresh),
      { user: async () => provider(jwt({ exp: inAnHour(), jti: "1" }), config) },
    );
    await expect(w.cluster.list(PODS)).rejects.toMatchObject({
      code: "KUBE_UNAUTHORIZED",
      message: expect.stringContaining("invalid_grant"),
    });
    answer = [200, { id_token: fresh }];
    expect(await w.cluster.list(PODS)).toEqual([]);

    const noMeans = provider(jwt({ exp: 1 }));
    await using stale = await world(mirror, { user: async () => noMeans });
    await expect(stale.cluster.version()).rejects.toMatchObject({
      code: "KUBE_UNAUTHORIZED",
      message: expect.stringContaining("refresh-token"),
    });
  });
});
