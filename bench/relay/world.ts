import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { PROGRAM_COMMAND, programText, type RelayConfig } from "@shipside/relay";
import type { At } from "./client.ts";

/** One way to the pods, or past them to the developer's machine; `tunnel`: from the developer's machine to the pods, by the same link. */
export interface Way {
  name: "direct" | "relay" | "nginx" | "tunnel";
  http1: At;
  /** Undefined where it has none. */
  http2: At | undefined;
  /** Of what is between; undefined where there is nothing. */
  pid: number | undefined;
}

/** An address that no other program on the machine listens on. */
const RELAY_HOST = "127.88.0.1";
const local = (port: number): At => ({ host: "127.0.0.1", port });

/** Pods, a developer's machine, and the ways to them, each in a process of its own, as in a cluster. */
export async function startWays(stack: AsyncDisposableStack): Promise<Way[]> {
  const pods = await startServer(stack, []);
  const directory = await mkdtemp(join(tmpdir(), "shipside-bench-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const [listen, listen2, nginxPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const config: RelayConfig = {
    ...{ name: "bench", namespace: "bench", graceSeconds: 3600 },
    accept: [
      { port: 80, listen, protocol: "TCP", mode: "http", backend: local(pods.http1) },
      { port: 81, listen: listen2, protocol: "TCP", mode: "http", backend: local(pods.http2) },
    ],
  };
  await writeFile(join(directory, "relay.mjs"), await programText());
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
  await writeFile(join(directory, "secret"), "s");
  const relay = spawn(process.execPath, PROGRAM_COMMAND.slice(1), {
    ...{ cwd: directory, env: { ...process.env, POD_IP: RELAY_HOST }, stdio: ["ignore", "pipe", "inherit"] },
  });
  stack.defer(() => stop(relay, "SIGKILL"));
  for await (const line of createInterface(relay.stdout!)) if (line.includes('"ready"')) break;
  relay.stdout!.resume();
  const laptop = await startServer(stack, ["--relay", RELAY_HOST, String(pods.http1), "me", "80", "81"]);
  const ways: Way[] = [
    { name: "direct", http1: local(pods.http1), http2: local(pods.http2), pid: undefined },
    { name: "relay", http1: { host: RELAY_HOST, port: listen }, http2: { host: RELAY_HOST, port: listen2 }, pid: relay.pid },
    { name: "tunnel", http1: local(laptop.tunnel!), http2: undefined, pid: undefined },
  ];
  const nginx = await startNginx(stack, directory, nginxPort, pods.http1, laptop.http1);
  return nginx === undefined ? ways : [...ways, { name: "nginx", http1: local(nginxPort), http2: undefined, pid: nginx }];
}

interface Ports {
  http1: number;
  http2: number;
  tunnel?: number;
}

async function startServer(stack: AsyncDisposableStack, args: readonly string[]): Promise<Ports> {
  const program = fileURLToPath(import.meta.resolve("./server.ts"));
  const server = spawn(process.execPath, ["--conditions=@shipside/source", program, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  stack.defer(() => stop(server, "SIGTERM"));
  for await (const line of createInterface(server.stdout!)) return JSON.parse(line) as Ports;
  throw new Error("a server of the benchmark did not start");
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The same split by the same header, by one worker; undefined where there is no nginx on PATH. */
async function startNginx(
  stack: AsyncDisposableStack,
  directory: string,
  port: number,
  pods: number,
  laptop: number,
): Promise<number | undefined> {
  const path = `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin`;
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore", env: { ...process.env, PATH: path } });
  } catch {
    return undefined;
  }
  const file = join(directory, "nginx.conf");
  await writeFile(
    file,
    `worker_processes 1; daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3;
  uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5; proxy_buffering off; proxy_request_buffering off;
  client_max_body_size 0; keepalive_requests 100000000;
  map $http_x_user $to { default pods; me laptop; }
  map $http_upgrade $upgrading { default ""; websocket upgrade; }
  upstream pods { server 127.0.0.1:${pods}; keepalive 64; }
  upstream laptop { server 127.0.0.1:${laptop}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://$to; proxy_http_version 1.1; proxy_set_header Connection $upgrading; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  );
  const nginx = spawn("nginx", ["-c", file, "-p", directory], { stdio: "inherit", env: { ...process.env, PATH: path } });
  stack.defer(() => stop(nginx, "SIGTERM"));
  await sleep(300);
  if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}`);
  return nginx.pid;
}
