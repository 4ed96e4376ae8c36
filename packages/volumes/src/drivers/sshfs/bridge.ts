import { rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";

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
/** Who still has the socket open after this long, in ms, lives. */
const LOOK_MS = 500;

const path = process.argv[2] ?? "";
const end = (): never => process.exit(0);

let looking = false;

/** A socket that nobody listens on was left by a process that was killed: what belongs to it is of no use any more. */
const endAfterLook = (): void => {
  if (looking) return;
  looking = true;
  let connected = false;
  let refusal: string | undefined;
  const look = connect(path);
  look.on("connect", () => {
    // One that is being killed still lets some in, and then hangs up on them.
    connected = true;
    setTimeout(end, LOOK_MS);
  });
  look.on("error", (error: NodeJS.ErrnoException) => {
    refusal = error.code;
  });
  look.on("close", () => {
    looking = false;
    if (connected) return endAfterLook();
    if (refusal === "ECONNREFUSED") rmSync(dirname(path), { recursive: true, force: true });
    end();
  });
};

function open(purpose: string): Socket {
  const socket = connect(path);
  // What it says is followed by its close.
  socket.on("error", () => {});
  socket.on("close", endAfterLook);
  socket.write(purpose);
  return socket;
}

const data = open(DATA);
const heartbeat = open(HEARTBEAT);

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

// sshfs hangs up also when that process was killed, and may be heard before the socket.
process.stdin.on("error", endAfterLook);
process.stdout.on("error", endAfterLook);
process.stdin.on("end", endAfterLook);
process.stdin.pipe(data);
data.pipe(process.stdout);
