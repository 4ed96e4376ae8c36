import { execFile } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { type Intercept, type InterceptOptions, openIntercept, parseMatch } from "@shipside/proxy";
import { type DeployedRelay, findRelay } from "@shipside/relay";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NAMESPACE, openSampleCluster, type SampleCluster, serveHttp } from "./incoming.fixture.ts";
import { kubectls } from "./kubectl/binaries.ts";

// A relay as an intercept has it, seen by who would do harm: its token, its neighbours, and who may port-forward into its pods.

const run = promisify(execFile);
let sample: SampleCluster;
let local: Awaited<ReturnType<typeof serveHttp>>;
let intercept: Intercept;
let relay: DeployedRelay;
let kubectl: (...args: string[]) => Promise<string>;

const open = (options: Partial<InterceptOptions> = {}): Promise<Intercept> =>
  openIntercept({
    cluster: sample.cluster,
    service: "core",
    ports: [{ remote: 3020, local: local.port }],
    match: parseMatch({ path: "/mine*" }, { user: "alice", key: "alice-1" }),
    holder: "alice@laptop",
    ...options,
  });

beforeAll(async () => {
  sample = await openSampleCluster();
  local = await serveHttp();
  const [found] = (await kubectls()).found.sort((a, b) => b.minor - a.minor);
  if (!found) throw new Error("no kubectl could be had: `e2e/kubectl/binaries.ts` says where it is looked for");
  kubectl = async (...args) =>
    (await run(found.path, ["--kubeconfig", sample.embedded.kubeconfigPath, "-n", NAMESPACE, ...args])).stdout;
  intercept = await open();
  relay = (await findRelay(sample.cluster, { namespace: NAMESPACE, name: intercept.status().relay }))!;
}, 150_000);
afterAll(async () => {
  await intercept?.close();
  await sample?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
}, 60_000);

test("its ServiceAccount may do what it is meant to, object by object, and nothing else", async () => {
  const account = `system:serviceaccount:${NAMESPACE}:${relay.name}`;
  const table = await kubectl("auth", "can-i", "--list", "--no-headers", "--as", account);
  const rows = table
    .split("\n")
    .map((line) => /^(\S+)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]$/.exec(line)?.slice(1))
    .filter((row) => row !== undefined);
  // What every authenticated user may: ask what they may.
  const own = rows.filter(([resource = ""]) => !/^selfsubject/.test(resource));
  expect(own.map(([resource, , names, verbs]) => `${verbs} ${resource} ${names}`).sort()).toEqual([
    `get delete deployments.apps ${relay.name}`,
    `get patch leases.coordination.k8s.io ${relay.name}`,
    "get patch services core",
  ]);
});

test("of all its ports only the intercepted ones and health answer another pod, and health says nothing but ready", async () => {
  const [pod] = await relay.pods();
  const host = pod!.status!.podIP!;
  const scan = `
    const { connect } = require("net"), open = [];
    let next = 1, done = 0;
    const one = () => {
      if (next > 65535) return ++done === 256 && console.log(JSON.stringify(open));
      const port = next++, socket = connect({ host: ${JSON.stringify(host)}, port });
      socket.on("connect", () => { open.push(port); socket.destroy(); });
      socket.on("error", () => {}).on("close", one);
    };
    for (let i = 0; i < 256; i++) one();`;
  const found = JSON.parse(await sample.node(scan)) as number[];
  // Where pods have no network of their own, the pod's own address is what it has for 127.0.0.1 too.
  const control = sample.embedded.node?.network === "namespaces" ? [] : [28600];
  expect(found.sort((a, b) => a - b)).toEqual([3020, ...control, 28601]);
  const paths = ["/", "/status", "/leases/x", "/../secret", "/config.json"];
  const answers = await sample.ask(...paths.map((path) => ({ url: `http://${host}:28601${path}` })));
  expect(answers).toEqual(paths.map(() => ""));
}, 60_000);

test.each([
  ["no secret", { shipside: 1, role: "dial", client: "x" }],
  ["another one", { shipside: 1, role: "dial", client: "x", secret: "guessed" }],
  ["one that isn't a text", { shipside: 1, role: "accept", client: "x", secret: { length: 43 } }],
  ["no text at all", null],
])("who may port-forward into its pod and has %s is refused, and the pod's log says so", async (_what, greeting) => {
  const stream = await relay.openControl();
  stream.on("error", () => {});
  stream.write(`${JSON.stringify(greeting)}\n`);
  const [answer] = await once(stream, "data");
  expect(JSON.parse(String(answer))).toMatchObject({ ok: false, code: "RELAY_REFUSED" });
  stream.destroy();
  expect(await kubectl("logs", `deployment/${relay.name}`, "--all-pods=true")).toContain("a link was refused");
});

test("a take-over stands in the pods' logs, with who took it from whom", async () => {
  const bob = await open({ holder: "bob@desktop", takeOver: true });
  expect(await intercept.ended).toMatchObject({ code: "PROXY_LEASE_TAKEN" });
  const log = await kubectl("logs", `deployment/${relay.name}`, "--all-pods=true");
  expect(log).toContain("bob@desktop takes over from alice@laptop");
  expect(log).not.toContain(relay.secret);
  await bob.close();
}, 60_000);
