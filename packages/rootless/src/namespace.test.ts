import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Namespace, openNamespace } from "./namespace.ts";

/** Runs a shell script inside and resolves to what it wrote, with its exit code. */
async function sh(namespace: Namespace, script: string, env: NodeJS.ProcessEnv = {}): Promise<{ out: string; exitCode: number }> {
  const dir = await mkdtemp(join(tmpdir(), "rootless-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const command = await namespace.run({
    command: ["sh", "-c", `{ ${script}\n} > '${dir}/out' 2>&1`],
    env: { PATH: process.env["PATH"], ...env },
  });
  const exitCode = await command.exited;
  return { out: await readFile(join(dir, "out"), "utf8"), exitCode };
}

const NODE = process.execPath;

describe.runIf(process.platform === "linux")("namespaces", () => {
  it("serve a service's own address, its low port, TCP and UDP, and its name, from this process", async () => {
    const machines = readFileSync("/etc/hosts", "utf8");
    await using namespace = await openNamespace();
    await namespace.hosts.apply([{ address: "10.96.120.95", names: ["web", "web.shop.svc.cluster.local"] }]);
    await using web = await namespace.listeners.listen({ address: "10.96.120.95", port: 80 });
    const http = createServer((request, response) => response.end(`${request.headers.host} ${request.socket.localAddress}`));
    web.server.on("connection", (socket) => {
      http.emit("connection", socket);
      socket.resume();
    });
    await using dns = await namespace.listeners.listenDatagrams({ address: "10.96.120.95", port: 53 });
    dns.socket.on("message", (message, { port, address }) => dns.socket.send(`pong ${message}`, port, address));

    const got = await sh(
      namespace,
      `${NODE} -e 'fetch("http://web.shop.svc.cluster.local/").then(r => r.text()).then(console.log)'`,
    );
    expect(got).toEqual({ out: "web.shop.svc.cluster.local 10.96.120.95\n", exitCode: 0 });
    const ping = `const s = require("dgram").createSocket("udp4"); s.on("message", m => { console.log(String(m)); s.close(); }); s.send("ping", 53, "web")`;
    expect((await sh(namespace, `${NODE} -e '${ping}'`)).out).toBe("pong ping\n");
    expect(readFileSync("/etc/hosts", "utf8")).toBe(machines);
    expect((await sh(namespace, "cat /etc/hosts")).out).toBe(`10.96.120.95 web web.shop.svc.cluster.local\n${machines}`);
  });

  it("serve IPv6 addresses", async () => {
    await using namespace = await openNamespace();
    await using web = await namespace.listeners.listen({ address: "fd00:10:96::7", port: 80 });
    web.server.on("connection", (socket) => socket.end("hello"));
    const client = `require("net").connect(80, "fd00:10:96::7").on("data", d => console.log(String(d)))`;
    expect((await sh(namespace, `${NODE} -e '${client}'`)).out).toBe("hello\n");
  });

  it("run a command as the same user, in its folder, with its env and exit code; it may listen below 1024", async () => {
    await using namespace = await openNamespace();
    const outside = execFileSync("sh", ["-c", "id -u; id -g; pwd"], { encoding: "utf8" });
    const inside = await sh(namespace, `id -u; id -g; pwd; echo "$GREETING"; exit 7`, { GREETING: "hé llo" });
    expect(inside).toEqual({ out: `${outside}hé llo\n`, exitCode: 7 });
    expect((await sh(namespace, "kill -TERM $$")).exitCode).toBe(143);
    const low = `require("net").createServer().listen(81, () => process.exit(3))`;
    expect((await sh(namespace, `${NODE} -e '${low}'`)).exitCode).toBe(3);
    expect((await sh(namespace, "cat /proc/1/cmdline | tr '\\0' ' '")).out).toMatch(/^sh -c/);
  });

  it("leave every port to programs that listen on all addresses, those of services too", async () => {
    await using namespace = await openNamespace();
    const served = await Promise.all(
      ["10.96.0.9", "10.96.0.10", "fd00:10:96::9"].map((address) => namespace.listeners.listen({ address, port: 8080 })),
    );
    for (const { server, address } of served) server.on("connection", (socket) => socket.end(address));
    await using dns = await namespace.listeners.listenDatagrams({ address: "127.0.0.53", port: 53 });
    dns.socket.on("message", (message, from) => dns.socket.send(`re:${message}`, from.port, from.address));
    expect(served.map(({ port }) => port)).toEqual([8080, 8080, 8080]);
    const program = `
      const net = require("net"), udp = require("dgram").createSocket("udp4");
      const text = (host) => new Promise((r) => net.connect(8080, host).on("data", (d) => r(String(d))).on("error", (e) => r(e.code)));
      net.createServer((s) => s.end("own")).listen(8080, () => udp.bind(53, async () => {
        const hosts = ["10.96.0.9", "10.96.0.10", "fd00:10:96::9", "127.0.0.1", "10.96.0.11"];
        const answers = []; for (const host of hosts) answers.push(await text(host));
        const asker = require("dgram").createSocket("udp4").on("message", (m) => { console.log([...answers, m].join(" ")); process.exit(0); });
        asker.send("who", 53, "127.0.0.53");
      }));`;
    expect((await sh(namespace, `${NODE} -e '${program}'`)).out).toBe(
      "10.96.0.9 10.96.0.10 fd00:10:96::9 own ENETUNREACH re:who\n",
    );
    await served[0]!.close();
    const again = `require("net").connect(8080, "10.96.0.9").on("error", (e) => console.log(e.code)).on("data", (d) => console.log(String(d)))`;
    expect((await sh(namespace, `${NODE} -e '${again}'`)).out).toBe("ECONNREFUSED\n");
    await using anew = await namespace.listeners.listen({ address: "10.96.0.9", port: 8080 });
    anew.server.on("connection", (socket) => socket.end("anew"));
    expect((await sh(namespace, `${NODE} -e '${again}'`)).out).toBe("anew\n");
  });

  it("have a host name of their own, in full too, whose address is theirs; the machine's stays", async () => {
    const machines = hostname();
    await using namespace = await openNamespace();
    expect((await sh(namespace, "hostname")).out).toBe(`${machines}\n`);
    await namespace.hosts.apply([{ address: "10.96.120.95", names: ["web"] }]);
    await namespace.setHostname("db-0", "db-0.db.shop.svc.cluster.local");
    const script = "hostname; hostname -f; hostname -i; getent hosts web";
    expect((await sh(namespace, script)).out).toBe("db-0\ndb-0.db.shop.svc.cluster.local\n127.0.0.1\n10.96.120.95    web\n");
    await namespace.hosts.apply([]);
    expect((await sh(namespace, "hostname -f")).out).toBe("db-0.db.shop.svc.cluster.local\n");
    expect(hostname()).toBe(machines);
    await expect(namespace.setHostname("no name")).rejects.toMatchObject({ code: "ROOTLESS_INVALID_OPTION" });
    await expect(namespace.setHostname(`${"a".repeat(62)}.bc`)).rejects.toMatchObject({ code: "ROOTLESS_INVALID_OPTION" });
  });

  it("tell what a command listens on, and connect to it from here", async () => {
    await using namespace = await openNamespace();
    await using own = await namespace.listeners.listen({ address: "10.96.0.9", port: 8080 });
    const program = `require("net").createServer(s => s.end("from inside")).listen(3000, "127.0.0.1")`;
    const command = await namespace.run({ command: [NODE, "-e", program], env: { PATH: process.env["PATH"] } });
    await vi.waitFor(() => expect(namespace.listening).toEqual([{ address: "127.0.0.1", port: 3000 }]), 10_000);
    const socket = await namespace.connect({ address: "127.0.0.1", port: 3000 });
    expect(await text(socket)).toBe("from inside");
    await expect(namespace.connect({ address: "127.0.0.1", port: 3001 })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    command.kill("SIGINT");
    expect(await command.exited).toBe(130);
    await vi.waitFor(() => expect(namespace.listening).toEqual([]), 10_000);
    expect(own.port).toBe(8080);
  });

  it("connect by the port alone: to what listens there, which may say its last word first", async () => {
    await using namespace = await openNamespace();
    const answer = `s.end("hello"); let got = ""; s.on("data", (d) => (got += d)).on("end", () => process.exit(got === "and goodbye" ? 3 : 4))`;
    const program = `require("net").createServer({ allowHalfOpen: true }, (s) => { ${answer} }).listen(81, "::1")`;
    const command = await namespace.run({ command: [NODE, "-e", program], env: { PATH: process.env["PATH"] } });
    await vi.waitFor(() => expect(namespace.listening).toEqual([{ address: "::1", port: 81 }]), 10_000);
    const socket = await namespace.connect({ port: 81 });
    socket.on("error", () => {});
    expect(await text(socket)).toBe("hello");
    socket.end("and goodbye");
    expect(await command.exited).toBe(3);
    await expect(namespace.connect({ port: 82 })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("show a folder and a file at paths that aren't there, also at the top, with all that was there; the disk stays as it is", async () => {
    const dir = await mkdtemp(join(tmpdir(), "rootless source-"));
    onTestFinished(() => rm(dir, { recursive: true }));
    await mkdir(join(dir, "sub"));
    await writeFile(join(dir, "sub", "greeting"), "hello\n");
    const before = [readdirSync("/").sort(), readdirSync("/var/lib").sort()];
    await using namespace = await openNamespace();
    const listed = "ls -A /var/lib | sort; ls -A / | sort; cat /etc/hosts";
    const { out } = await sh(namespace, listed);
    await namespace.mount({ source: dir, target: "/var/lib/no-such/deep" });
    await namespace.mount({ source: join(dir, "sub"), target: "/no-such-top/x" });
    await namespace.mount({ source: join(dir, "sub"), target: "/no-such-top/read", readOnly: true });
    await namespace.mount({ source: join(dir, "sub", "greeting"), target: "/etc/no-such-file" });
    await namespace.mount({ source: join(dir, "sub"), target: "/srv" });
    const seen = await sh(
      namespace,
      "cat /var/lib/no-such/deep/sub/greeting /no-such-top/x/greeting /etc/no-such-file /srv/greeting; echo new > /no-such-top/x/written; echo $?; (echo no > /no-such-top/read/x) 2>/dev/null || echo refused",
    );
    expect(seen).toEqual({ out: "hello\nhello\nhello\nhello\n0\nrefused\n", exitCode: 0 });
    expect(await readFile(join(dir, "sub", "written"), "utf8")).toBe("new\n");
    const after = await sh(namespace, listed);
    expect(after.out.split("\n").filter((line) => !/^no-such/.test(line))).toEqual(out.split("\n"));
    expect([readdirSync("/").sort(), readdirSync("/var/lib").sort()]).toEqual(before);
    // The rest of the machine, as it was.
    expect(
      (await sh(namespace, "test -c /dev/null && test -d /proc/self && id > /dev/null && ls /usr/bin > /dev/null; echo $?")).out,
    ).toBe("0\n");
    await expect(namespace.mount({ source: join(dir, "none"), target: "/x" })).rejects.toMatchObject({ code: "ROOTLESS_MOUNT" });
  });

  it("refuse a port that is taken, and any after close()", async () => {
    const namespace = await openNamespace();
    await using _first = await namespace.listeners.listen({ address: "10.96.0.9", port: 80 });
    await expect(namespace.listeners.listen({ address: "10.96.0.9", port: 80 })).rejects.toMatchObject({ code: "LISTEN_IN_USE" });
    await namespace.close();
    expect(namespace.ended.aborted).toBe(true);
    await expect(namespace.listeners.listen({ address: "10.96.0.9", port: 81 })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    await expect(namespace.run({ command: ["true"], env: {} })).rejects.toMatchObject({ code: "ROOTLESS_CLOSED" });
  });
});

/** A process of its own that opens namespaces and runs `sleep` in them; it writes the pids of all that is there. */
const HOLDER = `
  const { openNamespace } = await import(process.argv[1]);
  const namespace = await openNamespace();
  await namespace.run({ command: ["sh", "-c", "sleep 1000 & exec sleep 1000"], env: { PATH: process.env.PATH } });
  const { readFileSync } = await import("node:fs");
  const below = (pid) => [pid, ...readFileSync("/proc/" + pid + "/task/" + pid + "/children", "utf8").trim().split(" ").filter(Boolean).flatMap(below)];
  let pids = [];
  while (pids.length < 6) { await new Promise((r) => setTimeout(r, 20)); pids = below(process.pid); }
  console.log(pids.join(" "));
`;

describe.runIf(process.platform === "linux")("nothing is left where one process is killed:", () => {
  const roles = ["who opened them", "unshare", "the first process", "the agent"] as const;
  it.each([...roles.entries()])("%i %s", async (index) => {
    const holder = spawn(
      NODE,
      [
        "--conditions=@shipside/source",
        "--input-type=module",
        "-e",
        HOLDER,
        fileURLToPath(new URL("./namespace.ts", import.meta.url)),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    onTestFinished(() => void holder.kill("SIGKILL"));
    const [said] = (await once(holder.stdout, "data")) as [Buffer];
    const pids = String(said).trim().split(" ").map(Number);
    process.kill(pids[index]!, "SIGKILL");
    const theirs = pids.slice(1);
    await vi.waitFor(() => expect(theirs.filter((pid) => existsSync(`/proc/${pid}/exe`) && isAlive(pid))).toEqual([]), 10_000);
  });
});

/** A zombie that its parent hasn't asked about is none. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
