import { closeSync, rmSync } from "node:fs";
import { connect, Socket } from "node:net";
import { dirname } from "node:path";

/**
 * What sshfs runs in place of ssh: hands the socket that it was given as input and output over to the process that mounted, by the channel
 * that sshfs has inherited from it, so that no byte passes through here; and then watches that process. A connection brings a byte every
 * second from there; when none has come for a while that process is frozen or gone, and sshfs's end of the socket is ended, so that whoever
 * waits for the file system gets an error rather than waiting for ever. Stands alone: it is run from its file, and imports only what Node has.
 */

/** Without a sign of life for this long, in ms, it is over. */
const SILENCE_MS = 6_000;
const TICK_MS = 500;
/** How long a process may keep a connection, in ms, to be taken for one that lives. */
const LOOK_MS = 1_000;
/** sshfs lets go of a socket that was ended at once. */
const DRAIN_MS = 2_000;

const path = process.argv[2] ?? "";
const end = (): never => process.exit(0);
const given = { fd: 0, readable: true, writable: true, allowHalfOpen: true, pauseOnCreate: true, manualStart: true };
const sshfs = new Socket(given);
sshfs.on("error", end);

/**
 * A socket that nobody listens on was left by a process that was killed: what belongs to it is of no use any more. The kernel closes what such a
 * process had one by one, so that one which still takes connections may be gone a moment later; who lives keeps them.
 */
const endAfterLook = (): void => {
  // Whoever waits for sshfs waits for what it was given to end, and we were given the same.
  sshfs.destroy();
  for (const fd of [1, 2]) closeSync(fd);
  if (process.connected) process.disconnect();
  setTimeout(end, LOOK_MS);
  const look = (): void => {
    const found = connect(path);
    found.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED") rmSync(dirname(path), { recursive: true, force: true });
      // Any other: it was taken, or nearly, and cut.
      if (code === "ECONNREFUSED" || code === "ENOENT") end();
    });
    found.on("close", () => setTimeout(look, 20));
  };
  look();
};

/** The frozen process has the socket too, and only what is done to it, not our leaving, is seen by sshfs. A writer of it may be stuck. */
const cut = (): void => {
  sshfs.on("end", end);
  sshfs.resume();
  sshfs.end();
  setTimeout(end, DRAIN_MS);
};

let heard = performance.now();
let ticked = heard;
const heartbeat = connect(path);
// What it says is followed by its close.
heartbeat.on("error", () => {});
heartbeat.on("close", endAfterLook);
heartbeat.write(`${process.pid}\n`);
// By then it is known over there whom the socket comes from.
heartbeat.once("data", () => process.send?.(process.pid, sshfs, { keepOpen: true }, (error) => error && end()));
heartbeat.on("data", () => {
  heard = performance.now();
});
const timer = setInterval(() => {
  const now = performance.now();
  // This process itself stood still (the machine slept): what has come meanwhile is not yet read.
  if (now - ticked > 4 * TICK_MS) heard = now;
  ticked = now;
  if (now - heard < SILENCE_MS) return;
  clearInterval(timer);
  cut();
}, TICK_MS);
