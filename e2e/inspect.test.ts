import { once } from "node:events";
import { request } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import type { InspectorPlace } from "@shipside/daemon/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { NAMESPACE, sampleUsers, serveHttp } from "./incoming.fixture.ts";

const at = sampleUsers();
let local: Awaited<ReturnType<typeof serveHttp>>;
beforeAll(async () => {
  local = await serveHttp((asked, answer) => {
    answer.setHeader("content-type", "application/json");
    answer.statusCode = asked.url === "/broken" ? 503 : 200;
    answer.end(JSON.stringify({ local: asked.url }));
  });
});
afterAll(() => local?.[Symbol.asyncDispose]());

/** Asks the inspector's API as a program of its own would. */
async function api(place: string, method: string, path: string, body?: unknown) {
  const link = new URL(place);
  const token = new URLSearchParams(link.hash.slice(1)).get("token");
  const asked = request({
    ...{ host: "127.0.0.1", port: link.port, method, path: `/api${path}`, agent: false },
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it should be
  return JSON.parse(text) as any;
}

const flagged = { "x-user": "alice" };

test("a flagged request from a pod: on the terminal and in the API, with the pod's name and the rule; sent again here and to the cluster", async () => {
  const child = at.user.start(["intercept", "service/core", "--port", `3020:${local.port}`, "-x", "x-user: alice", ...at.where()]);
  const said = await untilSaid(child, /ready in/);
  expect(said).toMatch(/traffic on http:\/\/localhost:\d+: `shipside inspect` opens it/);

  const [{ link, url }] = JSON.parse((await at.user.run(["inspect", "--json"])).stdout) as [InspectorPlace];
  expect((await at.user.run(["inspect"])).stdout).toContain(`${url}/#token=`);
  // The page that is shipped, and all that it is made of.
  for (const path of ["/", "/app.js", "/app.css", "/icon.svg"])
    expect([path, (await fetch(url + path)).status]).toEqual([path, 200]);
  expect((await at.user.run(["status"])).stdout).toContain(`its traffic is on ${url}`);

  const tailing = at.user.start(["inspect", "--tail", "path:/cart|/broken"]);
  await untilSaid(tailing, /as they end/);
  const failing = at.user.start(["inspect", "--tail", "--json", "status:5xx"]);
  await untilSaid(failing, /as they end/);
  const both = Promise.all([untilSaid(tailing, /GET \/broken.*\n/), untilSaid(failing, /"\/broken".*\n/)]);
  const ask = (path: string, headers: Record<string, string> = flagged, host = "core") => ({
    url: `http://${host}:3020${path}`,
    headers,
  });
  // A Service's proxy of this cluster calls by the node's address; a pod that calls another by its IP calls by its own.
  const [relay] = at.sample.endpoints("core");
  const { podIP } = at.sample.embedded.store.get("pods", NAMESPACE, relay!)!["status"] as { podIP: string };
  const [mine] = await at.sample.ask(ask("/cart", flagged, podIP), ask("/cart", {}), ask("/broken"));
  expect(mine).toBe('{"local":"/cart"}');
  const caller = `${NAMESPACE}/${at.sample.endpoints("frontend")[0]}`;
  const [lines, json] = await both;
  // What went to the pods is not this machine's to see.
  expect(lines.match(/GET \/cart/g)).toHaveLength(1);
  expect(lines).toMatch(new RegExp(`200  GET /cart  core ← ${caller}  \\d+ ms  \\d+ B  \\(requests with x-user: alice\\)`));
  expect(lines).toMatch(/503 {2}GET \/broken {2}core ← \d+\.\d+\.\d+\.\d+:\d+/);
  expect(JSON.parse(json.slice(json.indexOf("{")))).toMatchObject({ path: "/broken", status: 503 });
  for (const each of [tailing, failing]) {
    each.kill("SIGINT");
    expect(await once(each, "exit")).toEqual([0, null]);
  }

  const { exchanges } = await api(link, "GET", "/exchanges?filter=path:/cart");
  expect(exchanges).toMatchObject([{ method: "GET", caller, route: "requests with x-user: alice", service: "core", status: 200 }]);
  const { id } = exchanges[0];
  const shown = await api(link, "GET", `/exchanges/${id}`);
  expect(shown).toMatchObject({
    connection: { namespace: NAMESPACE, port: 3020, localPort: local.port, caller },
    response: { body: { kind: "json" } },
    replayTargets: [{ name: "local" }, { name: "cluster", origin: `http://core.${NAMESPACE}:3020` }],
  });
  const here = await api(link, "POST", `/exchanges/${id}/replay`, { target: "local", edit: { path: "/edited" } });
  expect(here).toMatchObject({ replayOf: id, caller: "", route: expect.stringMatching(/^sent again to local/) });
  expect((await api(link, "GET", `/exchanges/${here.id}`)).response.body.text).toContain("/edited");
  const there = await api(link, "POST", `/exchanges/${id}/replay`, { target: "cluster" });
  expect((await api(link, "GET", `/exchanges/${there.id}`)).response.body.text).toContain('"version": "cluster"');
  expect(await api(link, "GET", `/diff?left=${id}&right=${there.id}`)).toMatchObject({ same: false });

  const { sessions } = await api(link, "GET", "/sessions");
  expect(sessions).toMatchObject([
    {
      ...{ kind: "intercept", of: "service/core", namespace: NAMESPACE },
      tunnels: [{ direction: "in", service: "core", port: 3020, address: `127.0.0.1:${local.port}`, connections: { failed: 0 } }],
    },
  ]);
  expect(sessions[0].tunnels[0].connections.total).toBeGreaterThanOrEqual(2);
  // The API server is asked while somebody looks.
  await expect.poll(async () => (await api(link, "GET", "/sessions")).sessions[0].health, { timeout: 15_000 }).toBe("well");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  const none = await at.user.run(["inspect"]);
  expect([none.code, none.stderr]).toEqual([6, expect.stringContaining("nothing is open that has traffic")]);
}, 90_000);

test("the daemon's: one for all its sessions; what tunnels carry with --inspect, nothing with --no-capture", async () => {
  expect((await at.user.run(["start", "--no-root"])).code).toBe(0);
  const open = async (...args: string[]) => {
    const ran = await at.user.run([...args, ...at.where(), "--json"]);
    expect(ran.code, ran.stderr).toBe(0);
    return JSON.parse(ran.stdout).session;
  };
  const port = `3020:${local.port}`;
  const quiet = await open("intercept", "service/core", "--port", port, "--path", "/quiet", "--no-capture", "--name", "quiet");
  expect(quiet.inspector).toBeUndefined();
  expect((await at.user.run(["inspect"])).code).toBe(6);
  const teleported = await open("teleport", "namespace", NAMESPACE, "--inspect", "--name", "out");
  expect(teleported.inspector).toMatch(/^http:\/\/localhost:\d+$/);
  const seen = await open("expose", "webhook", "--port", `80:${local.port}`);
  expect(seen.inspector).toBe(teleported.inspector);

  expect(await at.sample.ask({ url: "http://core:3020/quiet" }, { url: "http://webhook/hook" })).toEqual([
    '{"local":"/quiet"}',
    '{"local":"/hook"}',
  ]);
  const [{ link }] = JSON.parse((await at.user.run(["inspect", "--json"])).stdout) as [InspectorPlace];
  const { sessions } = await api(link, "GET", "/sessions");
  const tunnel = sessions
    .find(({ name }: { name: string }) => name === "out")
    .tunnels.find(({ service }: { service: string }) => service === "leaf");
  expect(tunnel).toMatchObject({
    direction: "out",
    state: "listening",
    pods: [{ name: expect.stringMatching(/\/leaf-/), ready: true }],
  });
  expect(await fetch(`http://${tunnel.address}/out`).then((answer) => answer.status)).toBe(200);
  await expect
    .poll(async () =>
      (await api(link, "GET", "/exchanges")).exchanges.map(({ path, direction, status }: Record<string, unknown>) => [
        path,
        direction,
        status,
      ]),
    )
    .toEqual([
      ["/out", "outgoing", 200],
      ["/hook", "incoming", 200],
    ]);
  const { exchanges } = await api(link, "GET", "/exchanges?filter=is:outgoing");
  expect(exchanges[0].route).toMatch(new RegExp(`^by the tunnel, to ${NAMESPACE}/leaf-`));
  const again = await api(link, "POST", `/exchanges/${exchanges[0].id}/replay`, { target: "cluster" });
  expect(again).toMatchObject({ status: 200, replayOf: exchanges[0].id });
  await expect
    .poll(async () => {
      const all = (await api(link, "GET", "/sessions")).sessions as { name: string; tunnels: (typeof tunnel)[] }[];
      return all.find(({ name }) => name === "out")!.tunnels.find(({ service }) => service === "leaf").bytes.received;
    })
    .toBeGreaterThan(0);

  const tailing = at.user.start(["inspect", "--tail"]);
  await untilSaid(tailing, /as they end/);
  const over = Promise.all([once(tailing, "exit"), untilSaid(tailing, /the inspector has closed/)]);
  await at.user.run(["session", "close", "--all"]);
  const [exit] = await over;
  expect(exit).toEqual([0, null]);
}, 90_000);

test("a call of gRPC from a pod, through the relay: its status and its messages", async () => {
  const frame = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);
  const calls = createHttp2().on("stream", (stream) => {
    // Not before it has the call: a client whose answer is complete may take back what it hasn't sent.
    stream.resume().once("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "5", "grpc-message": "no such cart" }));
      stream.end(frame("three"));
    });
  });
  await new Promise<void>((resolve) => calls.listen(0, "127.0.0.1", resolve));
  const port = (calls.address() as AddressInfo).port;
  const child = at.user.start(["intercept", "service/core", "--port", `3020:${port}`, "--path", "/shop.Cart/*", ...at.where()]);
  try {
    await untilSaid(child, /ready in/);
    const [{ link }] = JSON.parse((await at.user.run(["inspect", "--json"])).stdout) as [InspectorPlace];
    await at.sample.node(`const session = require("node:http2").connect("http://core:3020");
      const call = session.request({ ":method": "POST", ":path": "/shop.Cart/Get", "content-type": "application/grpc", te: "trailers" });
      call.resume().on("close", () => session.close()).end(Buffer.from("00000000036b6579", "hex"));`);
    await expect
      .poll(async () => (await api(link, "GET", "/exchanges?filter=header:grpc-status=5")).exchanges)
      .toMatchObject([
        { method: "POST", path: "/shop.Cart/Get", status: 200, state: "done", route: "requests with path /shop.Cart/*" },
      ]);
    const shown = await api(link, "GET", "/exchanges/1");
    expect(shown).toMatchObject({
      ...{ httpVersion: "2", grpcStatus: "5 NOT_FOUND: no such cart" },
      request: { body: { kind: "grpc", frames: [{ bytes: 3, hex: "6b6579" }] } },
      response: { body: { kind: "grpc", frames: [{ bytes: 5 }] } },
    });
    const edited = await api(link, "POST", "/exchanges/1/replay", {
      target: "local",
      edit: { messages: [{ hex: "6b 65 79 32" }] },
    });
    expect(await api(link, "GET", `/exchanges/${edited.id}`)).toMatchObject({
      ...{ httpVersion: "2", grpcStatus: "5 NOT_FOUND: no such cart" },
      request: { body: { frames: [{ bytes: 4 }] } },
    });
  } finally {
    child.kill("SIGINT");
    await once(child, "exit");
    calls.close();
  }
}, 90_000);
