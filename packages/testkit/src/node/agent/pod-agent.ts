// Runs inside a pod's namespaces (or beside the node, where there are none), started by agent/client.ts. Imports nothing but Node's own
// modules and its neighbours here, so that it starts in the time that Node itself takes.
import { existsSync, rmSync } from "node:fs";
import { flushCompileCache } from "node:module";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connectTo } from "../network/connect.ts";
import type { ServiceListeners } from "../network/service-listeners.ts";
import { createContainers } from "./containers.ts";
import { type Guard, startGuard } from "./guard.ts";
import type { AgentMessage, AgentRequest } from "./protocol.ts";

const say = (message: AgentMessage, handle?: Socket): void => {
  if (process.connected) process.send!(message, handle, {}, () => {});
};

/** How often it is looked whether the node is there, in ms. */
const LOOK_MS = 500;

/** Where the node keeps everything: removed from here when the node disappears without a word. */
let adopted: string | undefined = process.argv[2];
const node = process.argv[3];
let guard: Guard | undefined;
const theGuard = (): Guard => (guard ??= startGuard(adopted, node));
if (adopted !== undefined) theGuard();
const containers = createContainers(say, theGuard);

/** Only the node's own agent needs it: pods start without loading it. */
let listeners: Promise<ServiceListeners> | undefined;
const serviceListeners = (): Promise<ServiceListeners> =>
  (listeners ??= import("../network/service-listeners.ts").then(({ createServiceListeners }) =>
    createServiceListeners({ handOver: (socket) => say({ type: "handOver" }, socket) }),
  ));

async function serve(request: AgentRequest): Promise<{ pid?: number; handle?: Socket }> {
  switch (request.op) {
    case "start":
      return { pid: await containers.start(request.launch) };
    case "signal":
      containers.signal(request.id, request.signal, request.group);
      return {};
    case "exec":
      await containers.exec(request);
      return {};
    case "endExec":
      containers.endExec(request.exec);
      return {};
    case "dial":
      return { handle: await connectTo(request.host, request.port, true) };
    case "serve":
      await (await serviceListeners()).set(request.address, request.routes);
      return {};
    case "release":
      adopted = undefined;
      guard?.release();
      return {};
  }
}

process.on("message", async ({ seq, ...request }: AgentRequest & { seq: number }) => {
  try {
    const { handle, ...answer } = await serve(request as AgentRequest);
    say({ type: "answer", seq, ...answer }, handle);
  } catch (error) {
    const { code = "UNKNOWN", message } = error as NodeJS.ErrnoException;
    say({ type: "answer", seq, error: { code, message } });
  }
});

let ending = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  containers.killAll();
  guard?.end();
  if (adopted !== undefined) await removeForGood(adopted);
  process.exit(0);
}

/** Until it stays away: agents that were just starting, and containers that are dying, may still write. */
async function removeForGood(directory: string): Promise<void> {
  for (let tries = 0, absent = 0; tries < 30 && absent < 4; tries++) {
    try {
      absent = existsSync(directory) ? 0 : absent + 1;
      rmSync(directory, { recursive: true, force: true });
    } catch {
      absent = 0;
    }
    await delay(50);
  }
}
process.on("disconnect", end);
// The node may have gone while this was being loaded: then there was nobody to hear of it. Nor does Node tell where a socket was on its way to a
// node that is gone: it waits for that to be taken.
setInterval(() => process.connected || end(), LOOK_MS).unref();
if (!process.connected) void end();
// A terminal's Ctrl-C is the node's to handle; the agent ends when its channel does.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

say({ type: "ready" });
// For the next agent, which starts in half the time.
setImmediate(flushCompileCache);
