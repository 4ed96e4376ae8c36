/**
 * The daemon's process. Started by `startDaemon`, which waits on the IPC channel for word that it serves, or for why it doesn't.
 */
import { errorToJson, type Logger } from "@shipside/core";
import { openDaemon } from "./daemon.ts";

process.title = "shipside daemon";

const log =
  (level: string) =>
  (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
    void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`);
const logger: Logger = { debug() {}, info: log("info"), warn: log("warn"), error: log("error") };

const tell = (word: unknown): Promise<void> =>
  new Promise((resolve) => {
    if (!process.send) return resolve();
    process.send(word, () => resolve());
  });

let ending: Promise<void> | undefined;
const end = (code: number, daemon?: { close(): Promise<void> }): Promise<void> =>
  (ending ??= (async () => {
    try {
      await daemon?.close();
      process.exit(code);
    } catch (error) {
      logger.error("closing left something behind", { error: errorToJson(error) });
      process.exit(1);
    }
  })());

try {
  const daemon = await openDaemon({ logger, onStop: () => void end(0, daemon) });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0, daemon));
  process.on("uncaughtException", (error) => {
    logger.error("unexpected", { error: errorToJson(error), stack: error.stack });
    void end(1, daemon);
  });
  await tell({ ready: true });
} catch (error) {
  await tell({ error: errorToJson(error) });
  await end(1);
}
if (process.connected) process.disconnect();
