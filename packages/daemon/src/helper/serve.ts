import { Socket } from "node:net";
import { errorToJson } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { version } from "../version.ts";
import { HELPER_PROTOCOL, type HelperAnswer, type HelperRequest, type HelperResults, LIMITS, type StartWord } from "./requests.ts";
import { createSockets, type HandedSocket, type Protocol } from "./sockets.ts";
import { type Machine, undoAll } from "./undo.ts";
import { validate } from "./validate.ts";

export interface ServeOptions {
  machine: Machine;
  /** `sent` is called when it has left this process, or can't. A socket that is given travels with it. */
  send(answer: HelperAnswer, socket: HandedSocket | undefined, sent: () => void): void;
  onWord(word: StartWord): void;
  /** All is undone, and the daemon has been told: the helper can end. */
  onBye(): void;
  /** The other side isn't our daemon any more: end. */
  onBroken(why: string): void;
}

export interface RequestServer {
  /** Takes what comes over the channel. Never throws. */
  receive(message: unknown, handle: unknown): void;
  /** Nothing more is begun; resolves when what was begun is done. */
  stop(): Promise<void>;
}

type SocketRequest = Extract<HelperRequest, { address: string }>;

/** Carries out what the daemon asks: one request after the other, each validated, each with one answer and a line in the log. */
export function serveRequests(options: ServeOptions): RequestServer {
  const { machine, send, onWord, onBye, onBroken } = options;
  const { ledger, audit } = machine;
  const sockets = createSockets(machine);
  let waiting = 0;
  let unsent = 0;
  let started = false;
  let ending = false;
  let turn: Promise<void> = Promise.resolve();

  const answer = (what: HelperAnswer, socket?: HandedSocket, sent: () => void = () => {}): void => {
    if (++unsent > LIMITS.unsent) onBroken(`it takes no answers: ${unsent} wait`);
    send(what, socket, () => {
      unsent--;
      sent();
    });
  };

  const refuse = (id: number | null, code: "HELPER_REFUSED" | "HELPER_LIMIT", why: string): void => {
    audit.request("refused", { why });
    answer({ id, error: { code, message: `the helper refused a request: ${why}` } });
  };

  const open = (protocol: Protocol, { id, op, address, port }: SocketRequest): Promise<void> =>
    sockets.open(protocol, address, port, (socket, bound, sent) => {
      audit.request(op, { address, port: bound });
      answer({ id, result: { address, port: bound } satisfies HelperResults["listen" | "bind"] }, socket, sent);
    });

  const close = async (protocol: Protocol, { id, op, address, port }: SocketRequest): Promise<void> => {
    await sockets.close(protocol, address, port);
    audit.request(op, { address, port });
    answer({ id, result: {} });
  };

  const carryOut = async (request: HelperRequest): Promise<void> => {
    const { id } = request;
    switch (request.op) {
      case "hello":
        return answer({ id, result: { protocol: HELPER_PROTOCOL, pid: process.pid, version } satisfies HelperResults["hello"] });
      case "listen":
        return open("tcp", request);
      case "bind":
        return open("udp", request);
      case "unlisten":
        return close("tcp", request);
      case "unbind":
        return close("udp", request);
      case "hosts.apply": {
        const { entries } = request;
        const names = entries.flatMap((entry) => entry.names);
        audit.request("hosts.apply", { entries: entries.length, names: names.length, first: names.slice(0, 5) });
        const owner = await machine.hosts();
        if (entries.length > 0) await ledger.owe({ hosts: true });
        const { added, removed, unchanged } = await owner.apply(entries);
        if (entries.length === 0) await ledger.owe({ hosts: false });
        const result: HelperResults["hosts.apply"] = { added: [...added], removed: [...removed], unchanged };
        return answer({ id, result });
      }
      case "hosts.restore":
        audit.request("hosts.restore");
        await (await machine.hosts()).restore();
        await ledger.owe({ hosts: false });
        return answer({ id, result: {} });
      case "bye": {
        ending = true;
        audit.write("bye");
        const { failed } = await undoAll(machine);
        if (failed.length === 0) return answer({ id, result: {} }, undefined, onBye);
        const cause = failed.length === 1 ? failed[0] : new AggregateError(failed);
        const error = daemonError("UNDO_FAILED", "the helper left something behind", {
          hint: "the next `shipside start` or `shipside stop` tries again",
          cause,
        });
        return answer({ id, error: errorToJson(error) }, undefined, onBye);
      }
    }
  };

  const inTurn = async (request: HelperRequest): Promise<void> => {
    try {
      if (ending) refuse(request.id, "HELPER_REFUSED", "it is ending");
      else await carryOut(request);
    } catch (error) {
      const json = errorToJson(error);
      audit.request("failed", { op: request.op, code: json.code, error: json.message });
      answer({ id: request.id, error: json });
    } finally {
      waiting--;
    }
  };

  const receive = (message: unknown, handle: unknown): void => {
    const hasHandle = handle !== undefined && handle !== null;
    if (hasHandle) dispose(handle);
    const verdict = validate(message);
    if ("refused" in verdict) refuse(verdict.id, verdict.code, verdict.refused);
    else if (hasHandle) refuse("request" in verdict ? verdict.request.id : null, "HELPER_REFUSED", "it came with a socket");
    else if ("word" in verdict && started) refuse(null, "HELPER_REFUSED", "it has said before how it started");
    else if ("word" in verdict) {
      started = true;
      onWord(verdict.word);
    } else if (waiting >= LIMITS.waiting) refuse(verdict.request.id, "HELPER_LIMIT", `${waiting} requests wait already`);
    else {
      waiting++;
      turn = turn.then(() => inTurn(verdict.request));
    }
  };

  return {
    receive,
    stop() {
      ending = true;
      return turn;
    },
  };
}

/** What came along uninvited: a socket, a server, something of the kind. */
function dispose(handle: unknown): void {
  const thing = handle as { on?(event: string, listener: () => void): void; close?(): void; destroy?(): void };
  try {
    thing.on?.("error", () => {});
    if (handle instanceof Socket) thing.destroy?.();
    else thing.close?.();
  } catch {
    // It was never open.
  }
}
