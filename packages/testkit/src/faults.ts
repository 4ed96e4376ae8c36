import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ServerFaults } from "./api/faults.ts";
import { testkitError } from "./errors.ts";
import { type LostNodeOptions, takeNoteOfLoss } from "./faults/lost-node.ts";
import { overrideReadiness } from "./faults/readiness.ts";
import { createRules, kindOf } from "./faults/rules.ts";
import { type LinkOptions, slowLink } from "./faults/slow-link.ts";
import type { Store } from "./store.ts";

/** Which connections a fault concerns. */
export type FaultScope = "all" | "watch" | "portforward";

/** Takes a fault back. */
export type Undo = () => void;

export interface AnswerOptions {
  /** Only requests for this resource: "pods", "deployments.apps". Default: all. */
  resource?: string;
  /** Only these: "get", "list", "watch", "create", … Default: all. */
  verbs?: readonly string[];
  /** How many requests it lasts for. Default: until it's taken back. */
  times?: number;
}

export interface FaultOptions {
  /** {@link Faults.drop} */
  drop?: FaultScope;
  /** {@link Faults.delay} */
  delay?: { ms: number; scope?: FaultScope };
  /** {@link Faults.freeze} */
  freeze?: FaultScope;
  /** {@link Faults.expireVersions} */
  expireVersions?: AnswerOptions | true;
  /** {@link Faults.throttle} */
  throttle?: AnswerOptions & { retryAfterSeconds?: number };
  /** {@link Faults.fail} */
  fail?: AnswerOptions & { status?: number };
  /** {@link Faults.expireCredentials}: the user's name, or true for everybody. */
  expireCredentials?: string | true;
  /** {@link Faults.slowLink} */
  slowLink?: LinkOptions;
}

/** What can go wrong with a cluster, to be turned on and off. Each fault returns its undo; several at once add up. */
export interface Faults extends ServerFaults {
  /** Cuts the connections that stand now, and refuses nothing. Returns how many they were. */
  dropConnections(scope?: FaultScope): number;
  /** Cuts the connections that stand and every one that comes. */
  drop(scope?: FaultScope): Undo;
  /** Lets every new request wait. */
  delay(ms: number, scope?: FaultScope): Undo;
  /**
   * Goes silent: what stands stays up and carries nothing either way, what comes is accepted and not answered. With the undo what stood
   * goes on, and what came is cut.
   */
  freeze(scope?: FaultScope): Undo;
  /** 410 Expired for watches and lists; for one request, unless `times` says otherwise. */
  expireVersions(options?: AnswerOptions): Undo;
  /** 429 with `Retry-After`, default 1 s. */
  throttle(options?: AnswerOptions & { retryAfterSeconds?: number }): Undo;
  /** A 5xx, default 500. */
  fail(options?: AnswerOptions & { status?: number }): Undo;
  /** 401 for a user's requests, or everybody's. */
  expireCredentials(user?: string): Undo;
  /** For connections that come from now on; `dropConnections()` makes the others come again. The last one asked for counts. */
  slowLink(options: LinkOptions): Undo;
  /** SIGKILL to every process of a pod, as a node's out-of-memory killer would. */
  killPod(namespace: string, name: string): void | Promise<void>;
  /** SIGSTOP to every process of a pod. */
  hangPod(namespace: string, name: string): Undo;
  /**
   * A node vanishes, as far as anybody can tell: its pods answer nothing, its kubelet neither hears nor writes, and after a while the cluster
   * takes note (unknown conditions, unready pods, taints that drive them out). With the undo it is there again.
   */
  loseNode(name: string, options?: LostNodeOptions): Promise<() => Promise<void>>;
  /** Makes a pod unready, or ready, whatever its probe says. */
  setReadiness(namespace: string, name: string, ready: boolean): Undo;
  /** Turns a pod's readiness over every `periodMs`, first to unready. */
  flapReadiness(namespace: string, name: string, periodMs?: number): Undo;
  /** The API server goes away and comes back on the same address with the same state. */
  restartApiServer(): Promise<void>;
  /** For the server: what a connection is used for. Undone where the connection is used for something else again. */
  label(socket: Duplex, kind: Exclude<FaultScope, "all">): Undo;
  /** For whoever puts the cluster together. */
  wire(parts: FaultParts): void;
}

export interface FaultParts {
  store?: Store;
  killPod?(namespace: string, name: string): void | Promise<void>;
  /** Returns what lets the pod go on. */
  hangPod?(namespace: string, name: string): () => void;
  /** Silences a node; resolves to what lets it speak again. */
  loseNode?(name: string): Promise<() => Promise<void>>;
  restart?(): Promise<void>;
}

export function createFaults(options: FaultOptions = {}): Faults {
  const { apply, ...rules } = createRules();
  const refused = new Set<{ scope: FaultScope }>();
  const frozen = new Set<{ scope: FaultScope }>();
  const links: LinkOptions[] = [];
  /** Raw connections, and what those behind them are used for. */
  const raw = new Set<Duplex>();
  const labelled = new Map<Duplex, Exclude<FaultScope, "all">>();
  const silenced = new Set<Duplex>();
  /** Came while frozen: nobody will ever answer them. */
  const unanswered = new Set<Duplex>();
  let parts: FaultParts = {};

  const need = <K extends keyof FaultParts>(name: K, what: string): NonNullable<FaultParts[K]> => {
    const part = parts[name];
    if (part) return part as NonNullable<FaultParts[K]>;
    throw testkitError("TESTKIT_OPTIONS_INVALID", `could not ${what}: nothing that can do it is wired to these faults`, {
      hint: "use the faults of a cluster made by startCluster, with a node",
    });
  };

  const live = (scope: FaultScope): Duplex[] =>
    scope === "all" ? [...raw] : [...labelled].filter(([, kind]) => kind === scope).map(([socket]) => socket);

  /** Holds back what is written, and reads no more. */
  const settle = (): void => {
    const silent = new Set([...frozen].flatMap(({ scope }) => (scope === "all" ? [...labelled.keys()] : live(scope))));
    for (const socket of silent) {
      if (silenced.has(socket)) continue;
      silenced.add(socket);
      socket.cork();
      socket.pause();
    }
    for (const socket of silenced) {
      if (silent.has(socket)) continue;
      silenced.delete(socket);
      socket.uncork();
      socket.resume();
    }
  };

  const leaveUnanswered = (socket: Duplex): void => {
    unanswered.add(socket);
    socket.on("close", () => unanswered.delete(socket));
  };

  const faults: Faults = {
    ...rules,
    dropConnections(scope = "all") {
      const sockets = live(scope);
      for (const socket of sockets) socket.destroy();
      return sockets.length;
    },
    drop(scope = "all") {
      const entry = { scope };
      refused.add(entry);
      faults.dropConnections(scope);
      return () => void refused.delete(entry);
    },
    freeze(scope = "all") {
      const entry = { scope };
      frozen.add(entry);
      settle();
      return () => {
        frozen.delete(entry);
        settle();
        if (frozen.size > 0) return;
        for (const socket of unanswered) socket.destroy();
        unanswered.clear();
      };
    },
    slowLink(link) {
      links.push(link);
      return () => {
        const at = links.indexOf(link);
        if (at >= 0) links.splice(at, 1);
      };
    },
    killPod: (namespace, name) => need("killPod", `kill pod ${namespace}/${name}`)(namespace, name),
    hangPod: (namespace, name) => need("hangPod", `hang pod ${namespace}/${name}`)(namespace, name),
    async loseNode(name, { noticedAfterMs = 50_000 } = {}) {
      const store = need("store", `lose node ${name}`);
      const speak = await need("loseNode", `lose node ${name}`)(name);
      let forget: (() => void) | undefined;
      const timer = setTimeout(() => {
        forget = takeNoteOfLoss(store, name);
      }, noticedAfterMs).unref();
      return async () => {
        clearTimeout(timer);
        forget?.();
        forget = undefined;
        await speak();
      };
    },
    setReadiness: (namespace, name, ready) =>
      overrideReadiness(need("store", `set the readiness of pod ${namespace}/${name}`), namespace, name, () => ready).undo,
    flapReadiness(namespace, name, periodMs = 1000) {
      let ready = false;
      const override = overrideReadiness(need("store", `flap pod ${namespace}/${name}`), namespace, name, () => ready);
      const timer = setInterval(() => {
        ready = !ready;
        override.apply();
      }, periodMs).unref();
      return () => {
        clearInterval(timer);
        override.undo();
      };
    },
    restartApiServer: () => need("restart", "restart the API server")(),

    connection(socket: Socket): Duplex | undefined {
      const all = (entries: Set<{ scope: FaultScope }>): boolean => [...entries].some(({ scope }) => scope === "all");
      if (all(refused)) {
        socket.destroy();
        return undefined;
      }
      raw.add(socket);
      socket.on("close", () => raw.delete(socket));
      if (all(frozen)) {
        // Accepted by the kernel already; the handshake is never answered.
        socket.pause();
        leaveUnanswered(socket);
        return undefined;
      }
      if (links.length === 0) return socket;
      const last = links.at(-1)!;
      return slowLink(socket, () => (links.includes(last) ? (links.at(-1) ?? {}) : {}));
    },
    async request(facts) {
      const kind = kindOf(facts);
      if (facts.socket && kind) faults.label(facts.socket, kind);
      const concerns = ({ scope }: { scope: FaultScope }): boolean => scope === "all" || scope === kind;
      if ([...refused].some(concerns)) return "drop";
      if ([...frozen].some(concerns)) {
        if (facts.socket) leaveUnanswered(facts.socket);
        return "freeze";
      }
      return apply(facts);
    },
    label(socket, kind) {
      labelled.set(socket, kind);
      const forget = (): void => {
        labelled.delete(socket);
        silenced.delete(socket);
      };
      socket.on("close", forget);
      settle();
      return () => {
        socket.off("close", forget);
        labelled.delete(socket);
        settle();
      };
    },
    wire(more) {
      parts = { ...parts, ...more };
    },
  };
  start(faults, options);
  return faults;
}

function start(faults: Faults, options: FaultOptions): void {
  const { drop, delay, freeze, expireVersions, throttle, fail, expireCredentials, slowLink: link } = options;
  if (drop) faults.drop(drop);
  if (delay) faults.delay(delay.ms, delay.scope);
  if (freeze) faults.freeze(freeze);
  if (expireVersions) faults.expireVersions(expireVersions === true ? {} : expireVersions);
  if (throttle) faults.throttle(throttle);
  if (fail) faults.fail(fail);
  if (expireCredentials) faults.expireCredentials(expireCredentials === true ? undefined : expireCredentials);
  if (link) faults.slowLink(link);
}
