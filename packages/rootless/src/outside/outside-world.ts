import {
  abortError,
  type Closable,
  createCloser,
  hasCode,
  type ListenerFactory,
  type Logger,
  type ShipsideError,
  silentLogger,
} from "@shipside/core";
import { rootlessError } from "../errors.ts";
import { hasWayOut } from "./carrier.ts";
import { pastaLine, slirpLine } from "./command-line.ts";
import { forwardHostPorts } from "./host-ports.ts";
import { startLastingCarrier } from "./lasting-carrier.ts";
import { findProgram } from "./program.ts";
import { openProxy } from "./proxy.ts";
import { proxyEnv } from "./proxy-env.ts";

/** How a namespace reaches the rest of the world: `pasta` and `slirp4netns` carry any traffic, `proxy` (built in) HTTP and CONNECT. */
export type OutsideKind = "pasta" | "slirp4netns" | "proxy";

export interface OutsideOptions {
  /** A process in the network namespace, and in the user namespace that owns it. */
  pid: number;
  /** Makes listening sockets inside. Left open. */
  listeners: ListenerFactory;
  /** Default: the first of pasta, slirp4netns, proxy that works here. */
  use?: OutsideKind;
  /** TCP ports of this machine's localhost that are reachable at the namespace's, too. Nothing else of localhost is. */
  hostPorts?: readonly HostPort[];
  /** Names, name endings (`.svc`) and CIDRs that programs must not ask the proxy for, besides localhost and `.svc`. */
  noProxy?: readonly string[];
  /** Of the cluster: what slirp4netns must not take for its own network. */
  clusterAddresses?: readonly string[];
  /** Told when what carries the traffic has ended by itself, and is started anew. Connections to the outside are gone then. */
  interrupted?(why: ShipsideError): void;
  /** Told when it carries again. */
  restored?(): void;
  logger?: Logger;
  /** Ends the opening. */
  signal?: AbortSignal;
}

export interface HostPort {
  /** On this machine's localhost, 1–65535. */
  port: number;
  /** In the namespace. Default: the same. */
  inside?: number;
}

export interface OutsideWorld extends Closable {
  readonly kind: OutsideKind;
  /** What the command inside needs in its environment: proxy variables, or nothing. */
  readonly env: Readonly<Record<string, string>>;
  /** What was tried before `kind`, each with why it doesn't work here. */
  readonly without: readonly { kind: OutsideKind; error: ShipsideError }[];
  /**
   * Resolves when what carries the traffic has ended for good: with nothing by `close()`; with why by itself, where it couldn't be started
   * anew, or did so three times within a minute.
   */
  readonly ended: Promise<ShipsideError | undefined>;
}

const KINDS: readonly OutsideKind[] = ["pasta", "slirp4netns", "proxy"];

/**
 * Opens the rest of the world to a namespace. Rejects with `ROOTLESS_INVALID_OPTION`, with what the listener factory rejects with and, where
 * `use` names a program, with `ROOTLESS_OUTSIDE_MISSING`, `ROOTLESS_OUTSIDE_FORBIDDEN` or `ROOTLESS_OUTSIDE_FAILED`: without `use` the next
 * one takes its place. Nothing of it outlives this process.
 */
export async function openOutsideWorld(options: OutsideOptions): Promise<OutsideWorld> {
  check(options);
  const { use, listeners, hostPorts = [], logger = silentLogger } = options;
  const closer = createCloser();
  const without: { kind: OutsideKind; error: ShipsideError }[] = [];
  try {
    for (const kind of use ? [use] : KINDS) {
      try {
        const { env = {}, ended } = await open(kind, options, closer.use);
        closer.use(await forwardHostPorts(hostPorts, listeners, logger));
        const close = (): Promise<void> => closer.close();
        return { kind, env, without, ended, close, [Symbol.asyncDispose]: close };
      } catch (error) {
        if (use || !hasCode(error, ...UNUSABLE)) throw error;
        logger.debug(`no outside world by ${kind}`, { error: String(error) });
        without.push({ kind, error: error as ShipsideError });
      }
    }
    throw new Error("the proxy needs nothing of the machine");
  } catch (error) {
    await closer.close();
    throw options.signal?.aborted ? abortError(options.signal) : error;
  }
}

const UNUSABLE = ["ROOTLESS_OUTSIDE_MISSING", "ROOTLESS_OUTSIDE_FORBIDDEN", "ROOTLESS_OUTSIDE_FAILED"] as const;

interface Opened {
  env?: Record<string, string>;
  ended: Promise<ShipsideError | undefined>;
}

async function open(kind: OutsideKind, options: OutsideOptions, keep: <T extends Closable>(one: T) => T): Promise<Opened> {
  const { pid, signal, listeners, clusterAddresses = [], noProxy = [], interrupted = () => {}, restored = () => {} } = options;
  if (kind === "proxy") {
    const { promise: ended, resolve } = Promise.withResolvers<undefined>();
    const proxy = keep(await openProxy(listeners));
    const close = async (): Promise<void> => resolve(undefined);
    keep({ close, [Symbol.asyncDispose]: close });
    return { env: proxyEnv(proxy.url, noProxy), ended };
  }
  const program = await findProgram(kind);
  const ipv6 = await hasWayOut("self", "ipv6");
  const place = { pid, uid: process.getuid!(), gid: process.getgid!(), ipv6, clusterAddresses };
  const line = kind === "pasta" ? pastaLine(program, place) : slirpLine(program, place);
  return keep(await startLastingCarrier({ name: kind, line, pid, signal, interrupted, restored }));
}

function check({ pid, use, hostPorts = [] }: OutsideOptions): void {
  const invalid = (option: string, value: unknown, hint: string): Error =>
    rootlessError("ROOTLESS_INVALID_OPTION", `openOutsideWorld: \`${option}\` is ${JSON.stringify(value)}`, { hint });
  const isPort = (port: unknown): boolean => Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535;
  if (!Number.isInteger(pid) || pid < 1) throw invalid("pid", pid, "give the number of a process in the namespace");
  if (use !== undefined && !KINDS.includes(use)) throw invalid("use", use, `one of ${KINDS.join(", ")}`);
  for (const one of hostPorts) {
    if (!isPort(one.port) || !isPort(one.inside ?? one.port)) throw invalid("hostPorts", one, "ports are numbers from 1 to 65535");
  }
}
