import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSessionHost, openDaemon, serveSessions } from "@shipside/daemon";
import { connectControl, controlPath, openRemoteSession, PROTOCOL, type SessionInfo } from "@shipside/daemon/client";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { renewDaemon } from "./renew-daemon.ts";
import { createTerminal, type Terminal } from "./terminal.ts";

let cluster: EmbeddedCluster;
let dir: string;
let said: string;
let terminal: Terminal;
const { signal } = new AbortController();

beforeAll(async () => {
  cluster = await startCluster({ node: false, controllers: false });
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "sample" } },
    { apiVersion: "v1", kind: "Service", metadata: { name: "leaf", namespace: "sample" }, spec: { ports: [{ port: 3010 }] } },
  ]);
});
afterAll(() => cluster.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-renew-"));
  await writeFile(join(dir, "hosts"), "");
  vi.stubEnv("XDG_RUNTIME_DIR", dir);
  said = "";
  const stream = { write: (text: string) => void (said += text) };
  terminal = createTerminal({ stdout: stream, stderr: stream, env: {} });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

const hostOptions = (state: string) => ({
  stateDir: join(dir, state),
  hosts: { path: join(dir, "hosts") },
  pool: { cidr: "127.123.0.0/16" },
});

/** A daemon as an earlier release would be. */
async function oldDaemon(version: string) {
  const host = createSessionHost(hostOptions("old"));
  const server = await serveSessions({ host, kind: "daemon", onStop() {}, version });
  const end = async (): Promise<void> => {
    await server.close();
    await host.close();
  };
  return { end, [Symbol.asyncDispose]: end };
}

test("an older daemon is replaced when asked to, and what it keeps is open again", async () => {
  await using old = await oldDaemon("1.0.0");
  const client = await connectControl();
  const wish = { kubeconfig: cluster.kubeconfigPath, namespace: "sample", services: ["leaf"], name: "mine" };
  const before = await openRemoteSession(client, wish, { attached: false });
  await openRemoteSession(client, { kubeconfig: cluster.kubeconfigPath, namespace: "sample" }, { attached: true });
  const questions: string[] = [];
  let renewed: Awaited<ReturnType<typeof openDaemon>> | undefined;
  const done = await renewDaemon(
    { terminal, signal },
    {
      version: "1.1.0",
      ask: async (question) => questions.push(question) > 0,
      restart: async () => {
        await client.close();
        await old.end();
        renewed = await openDaemon({ ...hostOptions("new"), onStop() {} });
      },
    },
  );
  try {
    expect(done).toBe(true);
    expect(questions).toEqual([
      "the daemon that runs is older (1.0.0) than this shipside (1.1.0); start a new one? (its session is opened again, 1 of commands that run end)",
    ]);
    const [session, ...others] = renewed!.host.list();
    expect(others).toEqual([]);
    expect(session).toMatchObject({ name: "mine", namespace: "sample", selection: ["leaf"] } satisfies Partial<SessionInfo>);
    expect(session!.id).not.toBe(before.info.id);
    expect(said).toContain(`opened again: mine (${session!.id})`);
  } finally {
    await renewed?.close();
  }
});

test.each<[answer: boolean | undefined, says: RegExp]>([
  [undefined, /older \(1\.0\.0\) than this shipside \(1\.1\.0\): `shipside start` in a terminal restarts it/],
  [false, /^$/],
])("answered %j it is left as it is", async (answer, says) => {
  await using _old = await oldDaemon("1.0.0");
  const restart = async (): Promise<void> => expect.unreachable();
  expect(await renewDaemon({ terminal, signal }, { version: "1.1.0", ask: async () => answer, restart })).toBe(false);
  expect(said).toMatch(says);
});

test("one of the same version or a newer, and none at all, ask nothing", async () => {
  const parts = { version: "1.1.0", ask: async () => expect.unreachable(), restart: async () => expect.unreachable() };
  expect(await renewDaemon({ terminal, signal }, parts)).toBe(false);
  for (const version of ["1.1.0", "1.2.0"]) {
    await using _daemon = await oldDaemon(version);
    expect(await renewDaemon({ terminal, signal }, parts)).toBe(false);
  }
});

test("one of an older protocol, which may not understand a word, is replaced too", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`${JSON.stringify({ shipside: { protocol: PROTOCOL - 1, version: "0.1.0", pid: 4242 } })}\n`);
    socket.on("data", () => socket.write('{"of":"another form"}\n'));
  });
  await import("node:fs/promises").then(({ mkdir }) => mkdir(join(dir, "shipside"), { mode: 0o700 }));
  await new Promise<void>((resolve) => server.listen(controlPath(), resolve));
  let question = "";
  const ask = async (asked: string): Promise<boolean> => {
    question = asked;
    return false;
  };
  expect(await renewDaemon({ terminal, signal }, { version: "1.1.0", ask })).toBe(false);
  expect(question).toMatch(/older \(0\.1\.0\).*which sessions it has, it can't say: they end/);
  await new Promise((resolve) => server.close(resolve));
}, 10_000);
