import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { SERVICES } from "@shipside/kube";
import { expect, test, vi } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { NAMESPACE, sampleUsers, serveHttp } from "./incoming.fixture.ts";

const at = sampleUsers();

test("HTTP, raw TCP and UDP arrive at the local ports; a late answer after a FIN too; closed, nothing is left", async () => {
  await using web = await serveHttp();
  const late = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = "";
    socket.on("data", (chunk) => (heard += chunk));
    socket.on("end", () => setTimeout(() => socket.end(`heard ${heard}`), 1500));
  }).listen(0, "127.0.0.1");
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  udp.on("message", (datagram, { port, address }) => udp.send(`re:${datagram}`, port, address));
  await Promise.all([once(late, "listening"), once(udp, "listening")]);
  const ports = [`web=80:${web.port}`, `81:${(late.address() as { port: number }).port}`, `53:${udp.address().port}/udp`];
  const child = at.user.start(["expose", "mine", ...ports.flatMap((port) => ["--port", port]), ...at.where()]);
  try {
    const said = await untilSaid(child, /ready in/);
    expect(said).toContain(`mine.${NAMESPACE}:80 → 127.0.0.1:${web.port}`);
    expect(await at.sample.ask({ url: "http://mine/a" }, { url: `http://mine.${NAMESPACE}.svc.cluster.local/b` })).toEqual([
      "local /a",
      "local /b",
    ]);
    const tcp = `const s = require("net").connect({ host: "mine", port: 81, allowHalfOpen: true }); s.end("question"); s.on("data", (d) => process.stdout.write(d))`;
    expect(await at.sample.node(tcp)).toBe("heard question");
    // The embedded cluster's Services carry TCP alone: the datagram goes to the relay's pod, where the Service would lead it.
    const pod = at.sample.embedded.store.list("pods", NAMESPACE).find(({ metadata }) => metadata.name.startsWith("shipside-"))!;
    const { spec } = await at.sample.cluster.get(SERVICES, { namespace: NAMESPACE, name: "mine" });
    const targetPort = spec.ports!.find(({ port }) => port === 53)!.targetPort;
    const dns = `const s = require("dgram").createSocket("udp4"); s.on("message", (m) => { process.stdout.write(m); s.close(); }); s.send("ping", ${targetPort}, ${JSON.stringify(pod["status"].podIP)})`;
    expect(await at.sample.node(dns)).toBe("re:ping");
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
  } finally {
    late.close();
    udp.close();
  }
  expect(await at.sample.ask({ url: "http://mine/" })).toEqual([expect.stringMatching(/^failed: (ENOTFOUND|EAI_AGAIN)/)]);
}, 60_000);

test("a workload's ports are reused, its labels never; what is somebody else's is refused", async () => {
  await using web = await serveHttp();
  expect((await at.user.run(["start", "--no-root"])).code).toBe(0);
  const opened = await at.user.run([
    "expose",
    "core-too",
    "--workload",
    "deployment/core",
    "--port",
    `http:${web.port}`,
    ...at.where(),
    "--json",
  ]);
  expect(opened.code, opened.stderr).toBe(0);
  expect(await at.sample.ask({ url: "http://core-too:3020/" })).toEqual(["local /"]);
  expect(at.sample.endpoints("core")).toEqual([expect.stringMatching(/^core-/)]);
  const again = await at.user.run(["expose", "core-too", "--port", "80", ...at.where()]);
  expect([again.code, again.stderr]).toEqual([13, expect.stringContaining("is exposed already")]);
  const taken = await at.user.run(["expose", "core", "--port", "80", ...at.where()]);
  expect([taken.code, taken.stderr]).toEqual([13, expect.stringContaining("shipside didn't make")]);
  const closed = await at.user.run(["session", "close", JSON.parse(opened.stdout).session.id]);
  expect(closed.code, closed.stderr).toBe(0);
}, 60_000);

test("the relay's process is killed three times: callers arrive again within 8 s each time", async () => {
  await using web = await serveHttp();
  const child = at.user.start(["expose", "mine", "--port", `80:${web.port}`, ...at.where()]);
  try {
    await untilSaid(child, /ready in/);
    for (let round = 1; round <= 3; round++) {
      const relay = await vi.waitUntil(() => at.sample.endpoints("mine")[0], { timeout: 10_000 });
      await at.sample.embedded.faults.killPod(NAMESPACE, relay);
      // From the second time on the kubelet would wait for 10 s, then for 20.
      const arrives = async () => expect(await at.sample.ask({ url: `http://mine/${round}` })).toEqual([`local /${round}`]);
      await vi.waitFor(arrives, { timeout: 8_000, interval: 200 });
    }
  } finally {
    child.kill("SIGINT");
    await once(child, "exit");
  }
}, 60_000);

test("the process is killed: `clean` removes it all", async () => {
  const child = at.user.start(["expose", "mine", "--port", "80:9", ...at.where()]);
  await untilSaid(child, /ready in/);
  child.kill("SIGKILL");
  await once(child, "exit");
  const clean = await at.user.run(["clean", "--yes", "--json"]);
  expect(clean.code, clean.stderr).toBe(0);
  await expect.poll(() => Object.keys(at.sample.objects()), { timeout: 10_000 }).toEqual(Object.keys(at.before));
}, 60_000);

test.each([
  [["expose", "Mine", "--port", "80"], 2, 'expose.service is "Mine"'],
  [["expose", "mine"], 2, "expose.ports are missing"],
  [["expose", "mine", "--port", "80", "--port", "80:1"], 2, "expose.ports name 80/tcp twice"],
  [["expose", "mine", "-l", "80"], 2, "no port is named"],
])("%j is refused with %i", async (args, code, said) => {
  const ran = await at.user.run([...args, ...at.where()]);
  expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(said)]);
});
