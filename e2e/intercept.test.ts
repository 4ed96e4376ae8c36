import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ran, untilSaid } from "./cli.harness.ts";
import { NAMESPACE, sampleUsers, serveHttp } from "./incoming.fixture.ts";

const at = sampleUsers();
let local: Awaited<ReturnType<typeof serveHttp>>;
beforeAll(async () => {
  local = await serveHttp();
});
afterAll(() => local?.[Symbol.asyncDispose]());

const url = "http://core:3020/x";
const theirs = expect.stringContaining('"version": "cluster"');

test("flagged requests come to the local process, the rest to the pods; closed, everything is as before", async () => {
  const child = at.user.start(["intercept", "service/core", "--port", `3020:${local.port}`, "-x", "x-user: alice", ...at.where()]);
  const said = await untilSaid(child, /ready in/);
  expect(said).toContain(`core.${NAMESPACE}:3020 → 127.0.0.1:${local.port}`);
  expect(said).toContain("requests with x-user: alice");
  expect(said).toContain("curl -H 'x-user: alice'");
  expect(said).toContain("applications see the relay's address as their caller; who really calls stands in x-forwarded-for");
  expect(await at.sample.ask({ url }, { url, headers: { "x-user": "alice" } }, { url, headers: { "x-user": "bob" } })).toEqual([
    theirs,
    "local /x",
    theirs,
  ]);

  const listed = JSON.parse((await at.user.run(["session", "list", "--details", "--json"])).stdout);
  expect(listed).toMatchObject([
    { kind: "intercept", workload: "service/core", incoming: { switched: true, ports: [{ connections: 1, refused: 0 }] } },
  ]);
  expect((await at.user.run(["session", "list", "--details"])).stdout).toMatch(
    /port 3020 → 127\.0\.0\.1:\d+: 1 connection, \d open, 0 refused/,
  );
  const status = await at.user.run(["status"]);
  expect([status.code, status.stdout]).toEqual([0, expect.stringContaining("2 of 2 pods linked")]);
  expect(status.stdout).toMatch(/connections opened before \d\d:\d\d:\d\d stay with their pods/);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(await at.sample.ask({ url, headers: { "x-user": "alice" } })).toEqual([theirs]);
}, 60_000);

test("by path and method, in the daemon; a second identical one joins it; --clean ends it", async () => {
  expect((await at.user.run(["start", "--no-root"])).code).toBe(0);
  const args = [
    "intercept",
    "svc",
    "core",
    "-r",
    "http",
    "-l",
    String(local.port),
    "--path",
    "/mine*",
    "--method",
    "get",
    ...at.where(),
  ];
  const first = await at.user.run([...args, "--json"]);
  expect(first.code, first.stderr).toBe(0);
  const { id } = JSON.parse(first.stdout).session;
  const second = await at.user.run([...args, "--json"]);
  expect(JSON.parse(second.stdout).session.id).toBe(id);
  expect(await at.sample.ask({ url: "http://core:3020/mine/a" }, { url })).toEqual(["local /mine/a", theirs]);
  // Another wish for some of the same is refused, with who has it.
  const other = await at.user.run(["intercept", "core", "-p", `3020:${local.port}`, "--path", "/mine/b", ...at.where()]);
  expect([other.code, other.stderr]).toEqual([13, expect.stringContaining("you intercept some of this traffic since")]);
  const clean = await at.user.run([...args, "--clean", "--json"]);
  expect(JSON.parse(clean.stdout)).toMatchObject({ closed: [id] });
}, 60_000);

test("nothing listens on the local port: requests go to the pods, and it says so", async () => {
  const child = at.user.start(["intercept", "service/core", "--port", "3020:9", "--all", ...at.where()]);
  await untilSaid(child, /ready in/);
  const told = untilSaid(child, /nothing listens on 127\.0\.0\.1:9: requests go to the cluster's pods/);
  expect(await at.sample.ask({ url })).toEqual([theirs]);
  await told;
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([143, null]);
}, 60_000);

test("the process is killed: `clean` puts the Service back at once", async () => {
  const child = at.user.start(["intercept", "service/core", "--port", `3020:${local.port}`, "--user", ...at.where()]);
  await untilSaid(child, /ready in/);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(at.sample.objects()).not.toEqual(at.before);
  const clean = await at.user.run(["clean", "--yes", "--json"]);
  expect(clean.code, clean.stderr).toBe(0);
}, 60_000);

test.each([
  [["intercept", "service/database-pods"], 13, "gives pods names of their own"],
  [["intercept", "service/nope"], 6, "nope"],
  [["intercept", "deployment/core"], 2, "only Services can be intercepted"],
  [["intercept", "core", "--all", "--path", "/"], 2, "--all takes every request"],
  [["intercept", "core", "-x", "nonsense"], 2, "is no header"],
  [["intercept", "core", "--port", "1"], 6, "it has 3020 (http)"],
  [["intercept", "core", "--tcp"], 2, "--tcp goes with --all"],
])("%j is refused with %i", async (args, code, said) => {
  const ran = await at.user.run([...args, ...at.where()]);
  expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(said)]);
});

test("shipside.yaml: shown, opened, seen by status, list and doctor, and closed", async () => {
  const file = join(at.user.home, "shipside.yaml");
  const text = `
namespace: ${NAMESPACE}
intercepts:
  - name: mine
    service: core
    ports: ["3020:${local.port}"]
    match: { path: "/mine*" }
exposes:
  - name: hook
    service: webhook
    ports: ["80:${local.port}"]
`;
  await writeFile(file, text, { mode: 0o644 });
  const run = async (...args: string[]): Promise<Ran> => {
    const ran = await at.user.run(args, { env: { KUBECONFIG: at.kubeconfig } });
    expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
    return ran;
  };
  const plan = await run("up", "-f", file, "--dry-run");
  expect(`${plan.stdout}${plan.stderr}`).toMatch(/mine[\s\S]*core[\s\S]*hook[\s\S]*webhook/);
  expect(at.sample.objects()).toEqual(at.before);

  await run("start", "--no-root");
  await run("up", "-f", file);
  expect(await at.sample.ask({ url: "http://core:3020/mine/a" }, { url }, { url: "http://webhook/b" })).toEqual([
    "local /mine/a",
    theirs,
    "local /b",
  ]);
  const status = await run("status", "-n", NAMESPACE);
  expect(`${status.stdout}${status.stderr}`).toMatch(/2 of 2 pods linked[\s\S]*1 of 1 pods linked/);
  const listed = JSON.parse((await run("session", "list", "--json")).stdout) as Array<{ name?: string; kind: string }>;
  expect(listed.map(({ name, kind }) => [name, kind])).toEqual([
    ["mine", "intercept"],
    ["hook", "expose"],
  ]);
  // What is exposed is a service as others are; the one that the intercept's relay needs is nobody's.
  const teleport = join(at.user.home, "teleport.yaml");
  await writeFile(teleport, `teleports: [{ namespace: ${NAMESPACE}, via: relay, remoteHosts: ["db.internal:5432"] }]`, {
    mode: 0o644,
  });
  const shown = (await run("up", "-f", teleport, "--dry-run")).stdout;
  expect(shown).toContain("webhook");
  expect(shown).not.toContain("backend");
  expect(shown).toMatch(/names.*db\.internal/);
  expect(shown).toMatch(/cluster +a relay/);
  await run("up", "-f", teleport);
  // Without root webhook's port 80 can't be had here: that is said, and is no fault.
  expect((await run("status")).stdout).toMatch(
    /all 5 ports answer from end to end[\s\S]*webhook\.sample:80 is not served on this machine: ports below 1024 need root here/,
  );
  await run("down", "-f", teleport);
  // Exit codes of doctor tell of the machine too: only what it says of relays matters here.
  const doctor = await at.user.run(["doctor", "--json", "-n", NAMESPACE], { env: { KUBECONFIG: at.kubeconfig } });
  const lines = (JSON.parse(doctor.stdout) as { lines: Array<{ check: string; level: string; text: string }> }).lines;
  expect(lines.filter(({ check }) => check === "relays")).toMatchObject([
    { level: "ok", text: expect.stringMatching(/^2 relays in namespace/) },
  ]);
  await run("down", "-f", file);
}, 120_000);
