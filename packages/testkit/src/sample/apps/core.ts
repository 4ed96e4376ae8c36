// The service in the middle: reads its configuration from its environment, calls leaf and the database by their cluster names, and
// answers what it got from whom. It knows nothing of how or where it is run.
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { hostname } from "node:os";

const env = process.env;
const PORT = Number(env["PORT"] ?? 3020);
const LEAF_URL = env["LEAF_URL"] ?? "http://leaf:3010";
const DATABASE_URL = env["DATABASE_URL"] ?? "database.sample.svc.cluster.local:6379";
const VERSION = env["CORE_VERSION"] ?? "cluster";
const LIMIT_MS = 5000;

interface Call {
  to: string;
  ok: boolean;
  /** The address that the name led to. */
  address?: string;
  answer?: unknown;
  error?: string;
}

/** A service's place by its variables, for pods that have no cluster names. */
function byVariables(name: string): { host: string; port: number } | undefined {
  const prefix = name.split(".")[0]!.toUpperCase().replaceAll("-", "_");
  const host = env[`${prefix}_SERVICE_HOST`];
  return host ? { host, port: Number(env[`${prefix}_SERVICE_PORT`]) } : undefined;
}

const unresolved = (error: NodeJS.ErrnoException): boolean => error.code === "ENOTFOUND" || error.code === "EAI_AGAIN";

function callHttp(url: string, headers: Record<string, string>, at = new URL(url)): Promise<Call> {
  return new Promise((resolve) => {
    const asked = request(at, { headers, timeout: LIMIT_MS, agent: false }, (response) => {
      const address = response.socket.remoteAddress ?? "";
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ to: url, ok: response.statusCode === 200, address, answer: JSON.parse(text) }));
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${LIMIT_MS} ms`)));
    asked.on("error", (error: NodeJS.ErrnoException) => {
      const place = byVariables(at.hostname);
      if (unresolved(error) && place) resolve(callHttp(url, headers, new URL(`http://${place.host}:${place.port}${at.pathname}`)));
      else resolve({ to: url, ok: false, error: error.message });
    });
    asked.end();
  });
}

/** Sends one command in the Redis protocol and reads a one-line answer or a string. */
function callDatabase(place: string, command: string[], at = split(place)): Promise<Call> {
  const to = `${place} ${command.join(" ")}`;
  return new Promise((resolve) => {
    const socket = connect({ ...at, timeout: LIMIT_MS });
    let text = "";
    const done = (call: Omit<Call, "to">): void => {
      socket.destroy();
      resolve({ to, ...call });
    };
    socket.setEncoding("utf8");
    socket.on("connect", () =>
      socket.write(`*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`),
    );
    socket.on("timeout", () => done({ ok: false, error: `no answer within ${LIMIT_MS} ms` }));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const other = byVariables(at.host);
      if (unresolved(error) && other) resolve(callDatabase(place, command, other));
      else done({ ok: false, error: error.message });
    });
    socket.on("end", () => done({ ok: false, error: "the database closed the connection" }));
    socket.on("data", (chunk: string) => {
      text += chunk;
      const match = /^(?:[+:](.*)|\$\d+\r\n([\s\S]*)|\$(-1))\r\n$/.exec(text);
      if (match) done({ ok: true, address: socket.remoteAddress ?? "", answer: match[3] ? null : (match[1] ?? match[2]) });
      else if (/^-.*\r\n$/.test(text)) done({ ok: false, error: text.slice(1).trim() });
    });
  });
}

function split(place: string): { host: string; port: number } {
  const [host, port = "6379"] = place.split(":");
  return { host: host!, port: Number(port) };
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name.startsWith("x-") || name === "baggage" || name === "traceparent");
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

async function report(headers: IncomingHttpHeaders): Promise<unknown> {
  const calls = await Promise.all([
    callHttp(LEAF_URL, passedOn(headers)),
    callDatabase("database", ["INCR", "visits"]),
    callDatabase(DATABASE_URL, ["PING"]),
  ]);
  return {
    service: "core",
    version: VERSION,
    host: hostname(),
    greeting: env["GREETING"],
    banner: env["BANNER"],
    pod: env["POD_NAME"],
    namespace: env["POD_NAMESPACE"],
    // Shown as a length: a secret is not for printing.
    secretLength: env["API_TOKEN"]?.length ?? 0,
    ok: calls.every((call) => call.ok),
    calls,
  };
}

const server = createServer(async (incoming, response) => {
  response.setHeader("content-type", "application/json");
  if (incoming.url === "/healthz") return void response.end('"ok"');
  response.end(`${JSON.stringify(await report(incoming.headers), null, 2)}\n`);
});
server.listen(PORT, env["LISTEN_HOST"] ?? env["POD_IP"], () => console.log(`core (${VERSION}) listens on port ${PORT}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)).closeIdleConnections());
