// A small database that keeps what it is told: PING, GET, SET, INCR, DEL and KEYS of the Redis protocol (RESP2, and the same commands as
// plain lines), each change appended to a file on its volume before it is answered.
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";

const { PORT = "6379", POD_IP, DATA_DIR = "/var/lib/database", SHIPSIDE_ROOT = "" } = process.env;
const file = join(SHIPSIDE_ROOT, DATA_DIR, "changes.jsonl");
const store = new Map<string, string>();

mkdirSync(join(SHIPSIDE_ROOT, DATA_DIR), { recursive: true });
for (const line of readLines()) {
  const [key, value] = JSON.parse(line) as [string, string | null];
  if (value === null) store.delete(key);
  else store.set(key, value);
}

function readLines(): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

function change(key: string, value: string | null): void {
  appendFileSync(file, `${JSON.stringify([key, value])}\n`);
  if (value === null) store.delete(key);
  else store.set(key, value);
}

const text = (value: string | undefined): string =>
  value === undefined ? "$-1\r\n" : `$${Buffer.byteLength(value)}\r\n${value}\r\n`;

function answer([name = "", key = "", value = ""]: string[]): string {
  switch (name.toUpperCase()) {
    case "PING":
      return key ? text(key) : "+PONG\r\n";
    case "GET":
      return text(store.get(key));
    case "SET":
      change(key, value);
      return "+OK\r\n";
    case "DEL": {
      const had = store.has(key);
      if (had) change(key, null);
      return `:${had ? 1 : 0}\r\n`;
    }
    case "INCR": {
      const number = Number(store.get(key) ?? 0);
      if (!Number.isInteger(number)) return "-ERR value is not an integer or out of range\r\n";
      change(key, String(number + 1));
      return `:${number + 1}\r\n`;
    }
    case "KEYS": {
      const pattern = new RegExp(
        `^${key
          .replace(/[.+^${}()|[\]\\]/g, "\\$&")
          .replaceAll("*", ".*")
          .replaceAll("?", ".")}$`,
      );
      const keys = [...store.keys()].filter((candidate) => pattern.test(candidate));
      return `*${keys.length}\r\n${keys.map(text).join("")}`;
    }
    case "QUIT":
      return "+OK\r\n";
    default:
      return `-ERR unknown command '${name}'\r\n`;
  }
}

/** Takes whole commands off the front of what was received. */
function* commands(socket: Socket, state: { rest: Buffer }): Generator<string[]> {
  for (;;) {
    const end = state.rest.indexOf("\r\n");
    const lineEnd = end >= 0 ? end : state.rest.indexOf("\n");
    if (lineEnd < 0) return;
    const after = lineEnd + (end >= 0 ? 2 : 1);
    const line = state.rest.toString("utf8", 0, lineEnd);
    if (!line.startsWith("*")) {
      state.rest = state.rest.subarray(after);
      if (line.trim()) yield line.trim().split(/\s+/);
      continue;
    }
    const words: string[] = [];
    let at = after;
    for (let left = Number(line.slice(1)); left > 0; left--) {
      const stop = state.rest.indexOf("\r\n", at);
      if (stop < 0) return;
      const length = Number(state.rest.toString("utf8", at + 1, stop));
      if (!(length >= 0 && length < 1 << 20)) return void socket.destroy();
      if (state.rest.length < stop + 2 + length + 2) return;
      words.push(state.rest.toString("utf8", stop + 2, stop + 2 + length));
      at = stop + 2 + length + 2;
    }
    state.rest = state.rest.subarray(at);
    yield words;
  }
}

const sockets = new Set<Socket>();
const server = createServer((socket) => {
  const state = { rest: Buffer.alloc(0) };
  sockets.add(socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket)));
  socket.on("data", (chunk) => {
    state.rest = Buffer.concat([state.rest, chunk]);
    for (const words of commands(socket, state)) {
      socket.write(answer(words));
      if (words[0]?.toUpperCase() === "QUIT") socket.end();
    }
  });
});
server.listen(Number(PORT), POD_IP, () => console.log(`database listens on port ${PORT}, data in ${file}`));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  for (const socket of sockets) socket.destroy();
});
