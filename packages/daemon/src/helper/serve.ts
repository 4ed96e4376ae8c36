import { createServer, type Server, Socket } from "node:net";
import { errorToJson } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { HELPER_PROTOCOL, type HelperAnswer, type HelperRequest, type HelperResults, LIMITS, type StartWord } from "./requests.ts";
import { type Machine, undoAll } from "./undo.ts";
import { validate } from "./validate.ts";

export interface ServeOptions {
  machine: Machine;
  /** `sent` is called when it has left this process, or can't. A server that is given travels with it. */
  send(answer: HelperAnswer, server: Server | undefined, sent: () => void): void;
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

/** Carries out what the daemon asks: one request after the other, each validated, each with one answer and a line in the log. */
export function serveRequests(options: ServeOptions): RequestServer {
  const { machine, send, onWord, onBye, onBroken } = options;
  const { ledger, aliases, audit } = machine;
  /** How many listening sockets were handed over and not given back, by address and port. */
  const listeners = new Map<string, number>();
  const held = new Map<string, number>();
  let count = 0;
  let waiting = 0;
  let unsent = 0;
  /** Sockets that have not yet left this process: each is a descriptor of root's. */
  let handing = 0;
  let started = false;
  let ending = false;
  let turn: Promise<void> = Promise.resolve();

  const answer = (what: HelperAnswer, server?: Server, sent: () => void = () => {}): void => {
    if (++unsent > LIMITS.unsent) onBroken(`it takes no answers: ${unsent} wait`);
    send(what, server, () => {
      unsent--;
      sent();
    });
  };

  const refuse = (id: number | null, code: "HELPER_REFUSED" | "HELPER_LIMIT", why: string): void => {
    audit.request("refused", { why });
    answer({ id, error: { code, message: `the helper refused a request: ${why}` } });
  };

  const listen = async (id: number, address: string, port: number): Promise<void> => {
    if (count >= LIMITS.listeners) throw daemonError("HELPER_LIMIT", `${count} listeners are open, and no more are made`);
    if (handing >= LIMITS.handing) throw daemonError("HELPER_LIMIT", `${handing} sockets wait to be taken`);
    if (aliases.isMissing(address)) {
      await ledger.owe({ aliases: [...new Set([...ledger.owed.aliases, address])] });
      await aliases.add(address);
    }
    const server = createServer();
    // It is the daemon's before the first connection is taken here; if it can't be sent at once, who comes in between is turned away.
    server.on("connection", (socket) => socket.destroy());
    const failure = await new Promise<Error | undefined>((resolve) => {
      server.once("error", resolve);
      server.listen({ host: address, port, exclusive: true }, () => {
        server.off("error", resolve);
        server.on("error", () => {});
        const bound = server.address() as { port: number };
        count++;
        add(listeners, `${address} ${bound.port}`, 1);
        add(held, address, 1);
        audit.request("listen", { address, port: bound.port });
        // In the same turn as `listen`, so that the loop never polls it: only then is none of its connections ever ours.
        handing++;
        answer({ id, result: { address, port: bound.port } satisfies HelperResults["listen"] }, server, () => {
          handing--;
          server.close();
        });
        resolve(undefined);
      });
    });
    if (!failure) return;
    await letGo(address);
    throw failure;
  };

  const unlisten = async (id: number, address: string, port: number): Promise<void> => {
    const key = `${address} ${port}`;
    if (!listeners.has(key)) throw daemonError("HELPER_REFUSED", `no listener was made on ${address}:${port}`);
    count--;
    add(listeners, key, -1);
    add(held, address, -1);
    audit.request("unlisten", { address, port });
    await letGo(address);
    answer({ id, result: {} });
  };

  const letGo = async (address: string): Promise<void> => {
    if (held.has(address) || !ledger.owed.aliases.includes(address)) return;
    await aliases.remove(address);
    await ledger.owe({ aliases: ledger.owed.aliases.filter((each) => each !== address) });
  };

  const carryOut = async (request: HelperRequest): Promise<void> => {
    const { id } = request;
    switch (request.op) {
      case "hello":
        return answer({ id, result: { protocol: HELPER_PROTOCOL, pid: process.pid } satisfies HelperResults["hello"] });
      case "listen":
        return listen(id, request.address, request.port);
      case "unlisten":
        return unlisten(id, request.address, request.port);
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

function add(counts: Map<string, number>, key: string, change: number): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
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
