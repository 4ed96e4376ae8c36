import { connect, type Socket } from "node:net";

/**
 * What sshfs runs in place of ssh: joins its own input and output with the socket of the process that mounted. A second connection brings a byte
 * every second from there; when none has come for a while that process is frozen or gone, and this one ends, so that whoever waits for the file
 * system gets an error rather than waiting for ever. Stands alone: it is run from its file, and imports only what Node has.
 */

/** The first byte of a connection: what it is for. */
const DATA = "d";
const HEARTBEAT = "h";
/** Without a sign of life for this long, in ms, it is over. */
const SILENCE_MS = 6_000;
const TICK_MS = 500;

const end = (): never => process.exit(0);

function open(path: string, purpose: string): Socket {
  const socket = connect(path);
  socket.on("error", end);
  socket.on("close", end);
  socket.write(purpose);
  return socket;
}

const path = process.argv[2] ?? "";
const data = open(path, DATA);
const heartbeat = open(path, HEARTBEAT);

let heard = performance.now();
let ticked = heard;
heartbeat.on("data", () => {
  heard = performance.now();
});
setInterval(() => {
  const now = performance.now();
  // This process itself stood still (the machine slept): what has come meanwhile is not yet read.
  if (now - ticked > 4 * TICK_MS) heard = now;
  ticked = now;
  if (now - heard > SILENCE_MS) end();
}, TICK_MS);

process.stdin.on("error", end);
process.stdout.on("error", end);
process.stdin.on("end", end);
process.stdin.pipe(data);
data.pipe(process.stdout);
