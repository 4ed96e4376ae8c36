// Runs inside the namespaces, as their root. It ends with whoever made it, and then everything in the namespaces ends.
import { execFile } from "node:child_process";
import type { Socket as DatagramSocket } from "node:dgram";
import { writeFile } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { promisify } from "node:util";
import { addAddresses } from "./addresses.ts";
import { watchListening } from "./listening.ts";
import { mountAt } from "./mount.ts";
import { redirect } from "./redirect.ts";
import type { AgentMessage, AgentRequest, AgentResults, Op } from "./requests.ts";
import { killRun, startRun } from "./runs.ts";
import { bindSocket, connectSocket, listenSocket } from "./sockets.ts";

/** How often it is looked whether who made this is there, in ms. */
const LOOK_MS = 500;

type Handed = Server | DatagramSocket | Socket;

const tell = (message: AgentMessage, socket?: Handed, sent: () => void = () => {}): void => {
  // Where nobody is there any more, `disconnect` has come, or comes.
  if (process.connected) process.send!(message, socket as Socket, {}, sent);
};

/** `hand` is for answers with a socket: it is called in the turn in which that was made, so that nothing that comes to it is ever read here. */
async function answer(
  request: AgentRequest,
  hand: (result: AgentResults[Op], socket: Handed) => void,
): Promise<AgentResults[Op] | undefined> {
  switch (request.op) {
    case "addresses":
      await addAddresses(request.addresses);
      return {};
    case "listen":
      await listenSocket(request, (server, port) => hand({ port }, server));
      return undefined;
    case "bind":
      await bindSocket(request, (socket, port) => hand({ port }, socket));
      return undefined;
    case "connect":
      await connectSocket(request, (socket) => hand({}, socket));
      return undefined;
    case "redirect":
      await redirect(request);
      return {};
    case "write":
      await writeFile(request.path, request.text);
      return {};
    case "hostname":
      // The kernel's file is root's on the machine; the system call, which Node hasn't, is root's in here.
      await promisify(execFile)("hostname", [request.name]);
      return {};
    case "mount":
      await mountAt(request);
      return {};
    case "run":
      return { run: await startRun(request, (run, exitCode) => tell({ run, exitCode })) };
    case "kill":
      killRun(request.run, request.signal);
      return {};
  }
}

process.on("message", (message) => {
  const { id, ...request } = message as AgentRequest & { id: number };
  const hand = (result: AgentResults[Op], socket: Handed): void =>
    tell({ id, result }, socket, () => ("destroy" in socket ? socket.destroy() : socket.close()));
  answer(request as AgentRequest, hand).then(
    (result) => result && tell({ id, result }),
    (error: NodeJS.ErrnoException) =>
      tell({ id, error: { message: error.message, ...(error.code !== undefined && { code: error.code }) } }),
  );
});

process.on("disconnect", () => process.exit(0));
// It isn't told where a socket was on its way to who is gone: Node waits for that to be taken.
setInterval(() => process.connected || process.exit(0), LOOK_MS).unref();
// A terminal sends them to all of its foreground's processes: they are for the command.
for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM", "SIGTSTP"] as const) process.on(signal, () => {});

watchListening((listening) => tell({ listening }));
tell({ ready: true });
