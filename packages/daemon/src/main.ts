/**
 * The daemon's process. Whoever started it waits on the IPC channel for word that it serves, or for why it doesn't: `startDaemon`, or
 * (with `--helper`) the privileged helper, which then stays at the other end.
 */
import { errorToJson } from "@shipside/core";
import { openDaemon } from "./daemon.ts";
import { openDaemonLog } from "./daemon-log.ts";
import { connectHelper } from "./helper-client.ts";
import { listenersWithHelper } from "./helper-listeners.ts";
import { recordHelper } from "./launch/record.ts";
import { stateDir } from "./paths.ts";
import { originalPlace, withOriginal } from "./residue/hosts.ts";
import { version } from "./version.ts";

process.title = "shipside daemon";

const log = openDaemonLog(stateDir());
const { logger } = log;
let served = false;

const tell = (word: unknown): Promise<void> =>
  new Promise((resolve) => {
    if (!process.send) return resolve();
    process.send(word, () => resolve());
  });

const helped = process.argv.includes("--helper");
let closeAll = async (): Promise<void> => {};
let ending: Promise<void> | undefined;
const end = (code: number): Promise<void> =>
  (ending ??= closeAll().then(
    () => {
      log.close(served);
      process.exit(code);
    },
    (error: unknown) => {
      logger.error("closing left something behind", { error: errorToJson(error) });
      log.close(served);
      process.exit(1);
    },
  ));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0));
process.on("uncaughtException", (error) => {
  logger.error("unexpected", { error: errorToJson(error), stack: error.stack });
  void end(1);
});

try {
  const helper = helped ? await connectHelper(process) : undefined;
  const daemon = await openDaemon({
    logger,
    inspector: {},
    onStop: () => void end(0),
    ...(helper && {
      helper,
      hosts: withOriginal(helper.hosts(), originalPlace(), { logger }),
      listeners: listenersWithHelper(helper.listeners()),
    }),
  });
  const record = helper && (await recordHelper());
  closeAll = async () => {
    await daemon.close();
    const gone = helper?.ended.aborted;
    await helper?.close();
    // What was made while the helper ran is undone; what it could not undo any more stays on record.
    if (!gone) await record?.clear();
  };
  served = true;
  logger.info("serving", { pid: process.pid, version, node: process.version });
  await tell({ ready: true });
} catch (error) {
  await tell({ error: errorToJson(error) });
  await end(1);
}
// Whoever started it without a helper only waits for the word.
if (!helped && process.connected) process.disconnect();
