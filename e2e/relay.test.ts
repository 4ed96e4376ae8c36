import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { recover, type Session, type SessionEvent, teleport } from "@shipside/daemon";
import { DEPLOYMENTS, ENDPOINT_SLICES, type KubeObject, PODS, SERVICES } from "@shipside/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newUser, type User } from "./cli.harness.ts";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

let e2e: E2eCluster;
let user: User;
/** Of the pod, as seen from inside the cluster. */
let name: string;

const [ECHO, DATAGRAMS] = [43_130, 43_131];
const labels = { app: "far" };
// TCP: what comes tells what is done. UDP: each datagram comes back. A FIN is answered 1.5 s later.
const program = `
const { createServer } = require("node:net"), { createSocket } = require("node:dgram"), { writeFileSync } = require("node:fs");
let seen = "";
const server = createServer({ allowHalfOpen: true }, (s) => {
  let said = "";
  s.on("error", (e) => (seen += said + ":" + e.code + " "));
  s.on("data", (d) => {
    said = String(d);
    if (String(d) === "reset") return s.resetAndDestroy();
    if (String(d) === "seen") return s.write("[" + seen + "]");
    s.write("far:" + d);
  });
  s.on("end", () => { seen += "end "; setTimeout(() => s.end("late"), 1500); });
});
server.listen(${ECHO}, process.env.POD_IP);
// Pods without namespaces have no DNS: there the name is localhost.
if (process.env.POD_IP?.startsWith("127.")) createServer({ allowHalfOpen: true }, (s) => server.emit("connection", s)).listen(${ECHO}, "127.0.0.1");
const udp = createSocket("udp4", (d, from) => udp.send("far:" + d, from.port, from.address)).bind(${DATAGRAMS}, process.env.POD_IP);`;

const service = (name: string, spec: object): KubeObject => ({ metadata: { name, namespace: e2e.namespace }, spec }) as KubeObject;

beforeAll(async () => {
  e2e = await e2eCluster();
  user = await newUser();
  const { cluster, namespace } = e2e;
  await cluster.create(PODS, {
    metadata: { name: "far", namespace, labels },
    spec: {
      containers: [
        {
          name: "far",
          image: "node:24",
          command: ["node", "-e", program],
          readinessProbe: { tcpSocket: { port: ECHO }, periodSeconds: 1 },
        } as never,
      ],
    },
  });
  const ports = [
    { name: "tcp", port: ECHO },
    { name: "udp", port: DATAGRAMS, protocol: "UDP" },
    // The same number as the TCP one.
    { name: "twin", port: ECHO, protocol: "UDP", targetPort: DATAGRAMS },
  ];
  await cluster.create(SERVICES, service("far", { selector: labels, ports }) as never);
  await cluster.create(SERVICES, service("byhand", { ports: [{ port: ECHO }] }) as never);
  const podIP = async (): Promise<string | undefined> => {
    const { status } = await cluster.get(PODS, { namespace, name: "far" });
    return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ? status.podIP : undefined;
  };
  let ip = await podIP();
  for (; ip === undefined; ip = await podIP()) await delay(100);
  name = ip.startsWith("127.") ? "localhost" : `far.${namespace}.svc.cluster.local`;
  const outside = { type: "ExternalName", externalName: name, ports: [{ port: ECHO }] };
  await cluster.create(SERVICES, service("outside", outside) as never);
  await cluster.create(ENDPOINT_SLICES, {
    metadata: { name: "byhand-1", namespace, labels: { "kubernetes.io/service-name": "byhand" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [ip], conditions: { ready: true } }],
    ports: [{ port: ECHO, protocol: "TCP" }],
  } as never);
}, 150_000);
afterAll(async () => {
  await user[Symbol.asyncDispose]();
  await e2e[Symbol.asyncDispose]();
});

const relays = async (): Promise<string[]> =>
  (await e2e.cluster.list(DEPLOYMENTS, { namespace: e2e.namespace })).map(({ metadata }) => metadata.name);

async function open(options: Parameters<typeof teleport>[0], events: SessionEvent[] = []): Promise<Session> {
  const { cluster, namespace } = e2e;
  return teleport({
    cluster,
    namespace,
    hosts: false,
    stateDir: `${user.home}/state`,
    onEvent: (event) => events.push(event),
    ...options,
  });
}

async function dial(address: string): Promise<Socket> {
  const [host, port] = address.split(":");
  const socket = connect({ host: host!, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  return String((await once(socket, "data"))[0]);
}

async function ask(address: string, text: string): Promise<string> {
  const socket = await dial(address);
  try {
    return await say(socket, text);
  } finally {
    socket.destroy();
  }
}

async function askUdp(address: string, text: string): Promise<string> {
  const [host, port] = address.split(":");
  const client = createSocket("udp4");
  try {
    client.send(text, Number(port), host);
    return String((await once(client, "message"))[0]);
  } finally {
    client.close();
  }
}

const notices = (events: readonly SessionEvent[]): string[] =>
  events.flatMap((event) => (event.step === "notice" ? [event.message] : []));

test("what port-forward can't reach is said, deploys a relay when it is connected to, and leaves nothing", {
  timeout: 60_000,
}, async () => {
  const events: SessionEvent[] = [];
  await using session = await open({}, events);
  expect(notices(events)).toEqual([expect.stringMatching(/outside.*ExternalName/)]);
  expect(notices(events)[0]).toMatch(/byhand\S* \(no pods\).*far\S* \(UDP\).*|far\S* \(UDP\).*byhand/);
  expect(await ask(session.address("far", ECHO), "pod")).toBe("far:pod");
  const { tunnels } = await session.probe();
  await delay(500);
  expect(tunnels.probes.map(({ service }) => service)).toEqual([`far.${e2e.namespace}`]);
  expect(await relays()).toEqual([]);

  expect(await ask(session.address("outside"), "name")).toBe("far:name");
  expect(await relays()).toHaveLength(1);
  expect(await ask(session.address("byhand"), "hand")).toBe("far:hand");
  expect(await askUdp(session.address("far", "udp"), "gram")).toBe("far:gram");
  expect(await askUdp(session.address("far", "twin"), "twin")).toBe("far:twin");
  expect(await ask(session.address("far", ECHO), "still")).toBe("far:still");
  expect(await relays()).toHaveLength(1);
  expect(notices(events).join("\n")).toMatch(/deploying a relay.*\n.*is ready/);
  await session.close();
  expect(await relays()).toEqual([]);
});

test("of a process that was killed, the relay is removed by the next one that looks", { timeout: 60_000 }, async () => {
  const { namespace, kubeconfig } = e2e;
  const stateDir = `${user.home}/killed`;
  const options = { kubeconfig, namespace, stateDir, hosts: false, via: "relay" };
  const program = `import { teleport } from "@shipside/daemon";
    await teleport(${JSON.stringify(options)});
    console.log("open");`;
  const args = ["--conditions=@shipside/source", "--input-type=module", "-e", program];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  try {
    await once(child.stdout, "data");
    expect(await relays()).toHaveLength(1);
    child.kill("SIGKILL");
    await exited;
    expect(await relays()).toHaveLength(1);
  } finally {
    child.kill("SIGKILL");
    await exited;
    await recover({ stateDir });
  }
  expect(await relays()).toEqual([]);
});

test("via relay: endings are exact, and a host of the cluster's has its own name", { timeout: 60_000 }, async () => {
  await using session = await open({ via: "relay", remoteHosts: [`${name}:${ECHO}`] });
  expect(await relays()).toHaveLength(1);
  expect(session.hostsEntries().some(({ names }) => names.length === 1 && names[0] === name)).toBe(true);
  expect(await ask(session.address(name, ECHO), "host")).toBe("far:host");

  // An answer that comes 1.5 s after our FIN: port-forward's kubelet has given the connection up by then.
  const half = await dial(session.address("far", ECHO));
  half.end("hello");
  let got = "";
  half.on("data", (chunk) => (got += chunk));
  await once(half, "end");
  expect(got).toBe("far:hellolate");
  half.destroy();

  // A reset of the pod's is one here.
  const reset = await dial(session.address("far", ECHO));
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => reset.once("error", resolve));
  reset.resume().write("reset");
  expect((await failed).code).toBe("ECONNRESET");

  // And one of ours is one there.
  const ours = await dial(session.address("far", ECHO));
  const mark = randomUUID();
  await say(ours, mark);
  ours.resetAndDestroy();
  const seen = (): Promise<string> => ask(session.address("far", ECHO), "seen");
  await expect.poll(seen, { timeout: 10_000 }).toContain(`${mark}:ECONNRESET`);
  await session.close();
  expect(await relays()).toEqual([]);
});

test("via port-forward: no relay, and what that can't reach says so", async () => {
  const events: SessionEvent[] = [];
  await using session = await open({ via: "port-forward" }, events);
  expect(notices(events)).toEqual([]);
  expect(() => session.address("outside")).toThrow(/ExternalName/);
  await expect(open({ via: "port-forward", remoteHosts: ["db.internal:1"] })).rejects.toMatchObject({ code: "SESSION_OPTIONS" });
});
