import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, codeOf, splice } from "@shipside/core";
import type { Candidate } from "./endpoints.ts";
import { tunnelError } from "./errors.ts";
import { createIntake, type Intake, mayTryAnother, standsTrial } from "./intake.ts";

/** What a connection needs to know of the port it came to. */
export interface Route {
  /** For messages: `namespace/name:port`. */
  readonly label: string;
  pick(client: string, tried: ReadonlySet<string>): Candidate | undefined;
  /** Resolves when the endpoints have changed, or `signal` fires. */
  changed(signal: AbortSignal): Promise<void>;
  dial(candidate: Candidate, signal: AbortSignal): Promise<Dialled>;
  /** Called when a pod was chosen and when the connection to it is over. */
  chosen(client: string, candidate: Candidate): () => void;
}

export interface Dialled {
  stream: Duplex;
  /** The path carries a FIN as such. Where it doesn't (port-forward), the client's is withheld: see {@link FIN_IDLE_MS}. */
  halfClose: boolean;
}

export interface ForwardOptions {
  /** How long a connection is held while no pod takes it. */
  holdMs: number;
  signal: AbortSignal;
}

export interface ForwardResult {
  endpoint?: Candidate;
  /** How often a pod was dialled. */
  attempts: number;
  /** From the accept to the pod's taking it, in ms. */
  heldMs: number;
  /** What ended it, where it wasn't both sides in good order. */
  error?: Error;
}

/**
 * Where every ready pod refuses, an endpoint that is about to be taken off the slices is the likely reason, for as long as a kubelet
 * needs to report it. After this long it is a service that doesn't listen, and the client is told so.
 */
const REFUSED_HOLD_MS = 3_000;

/**
 * The kubelet's side of a port-forward ends a connection a second after either side's FIN, and what the pod answers later is lost. So a
 * client's FIN is withheld until the pod has been silent for this long: time for a slow answer to begin, while the pod of a client
 * that has gone learns of it soon.
 */
const FIN_IDLE_MS = 5_000;

/** Carries one accepted connection. Never rejects; the client is closed when it resolves. */
export async function forward(client: Socket, route: Route, options: ForwardOptions): Promise<ForwardResult> {
  const began = performance.now();
  const result: ForwardResult = { attempts: 0, heldMs: 0 };
  const gone = new AbortController();
  const signal = AbortSignal.any([options.signal, gone.signal]);
  const from = client.remoteAddress ?? "";
  client.on("error", () => {});
  client.once("close", () => gone.abort());
  const intake = createIntake(client);

  let release: (() => void) | undefined;
  try {
    const { candidate, dialled } = await connect(from, route, intake, result, options.holdMs, signal);
    result.endpoint = candidate;
    result.heldMs = Math.round(performance.now() - began);
    release = route.chosen(from, candidate);
    const error = await join(client, dialled, intake, options.signal);
    if (error) result.error = error;
  } catch (error) {
    result.heldMs = Math.round(performance.now() - began);
    if (!gone.signal.aborted) result.error = error instanceof Error ? error : new Error(String(error));
    client.resetAndDestroy();
  } finally {
    release?.();
  }
  return result;
}

/** Tries pods until one stands. Rejects when the time is over, the client has gone, or nothing will help. */
async function connect(
  from: string,
  route: Route,
  intake: Intake,
  result: ForwardResult,
  holdMs: number,
  signal: AbortSignal,
): Promise<{ candidate: Candidate; dialled: Dialled }> {
  const began = performance.now();
  const tried = new Set<string>();
  let last: Error | undefined;
  for (let round = 0; ; ) {
    if (signal.aborted) throw abortError(signal);
    const candidate = route.pick(from, tried);
    if (!candidate) {
      const bound = hasRefused(last) ? Math.min(holdMs, REFUSED_HOLD_MS) : holdMs;
      const left = bound - (performance.now() - began);
      if (left <= 0) throw unanswered(route.label, result.attempts, bound, last);
      // With nobody to try, only a change helps; those that failed are tried again after a while.
      await changedWithin(route, tried.size > 0 ? Math.min(left, 100 * 2 ** Math.min(round++, 4)) : left, signal);
      tried.clear();
      continue;
    }
    tried.add(candidate.key);
    result.attempts++;
    let dialled: Dialled;
    try {
      dialled = await route.dial(candidate, signal);
    } catch (error) {
      last = error as Error;
      if (isFinal(last)) throw last;
      continue;
    }
    const { stream } = dialled;
    const failed = await standsTrial(stream, intake, signal);
    if (!failed && !signal.aborted) return { candidate, dialled };
    const { fed } = intake;
    intake.withdraw();
    stream.destroy();
    if (signal.aborted) throw abortError(signal);
    last = failed!;
    if (isFinal(last) || !mayTryAnother(last, fed)) throw last;
  }
}

/** Splices the two, from what the intake has fed on. */
async function join(
  client: Socket,
  { stream, halfClose }: Dialled,
  intake: Intake,
  signal: AbortSignal,
): Promise<Error | undefined> {
  intake.release();
  const done = splice(client, stream, { signal, passEndOfA: halfClose });
  const undo = halfClose ? undefined : endWhenQuiet(client, stream, intake.ended);
  client.resume();
  const { error } = await done;
  undo?.();
  return error;
}

/** Ends `stream` when it has been silent for {@link FIN_IDLE_MS} after the client's FIN. */
function endWhenQuiet(client: Socket, stream: Duplex, ended: boolean): () => void {
  let quiet: NodeJS.Timeout | undefined;
  const end = (): void => {
    if (!stream.destroyed && !stream.writableEnded) stream.end();
  };
  const onEnd = (): void => {
    // Who sent nothing waits for no answer that could be cut: a probe, or a pool that gives a connection back unused.
    if (client.bytesRead === 0) end();
    quiet = setTimeout(end, FIN_IDLE_MS);
    stream.on("data", () => quiet?.refresh());
  };
  if (ended) onEnd();
  else client.once("end", onEnd);
  return () => clearTimeout(quiet);
}

async function changedWithin(route: Route, ms: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  try {
    await Promise.race([route.changed(either), sleep(ms, undefined, { signal: either }).catch(() => {})]);
  } finally {
    over.abort();
  }
}

/** Waiting and other pods mend nothing where the user may not do it. */
function isFinal(error: unknown, depth = 0): boolean {
  if (depth > 5 || !(error instanceof Error)) return false;
  const code = codeOf(error) ?? "";
  return ["KUBE_FORBIDDEN", "KUBE_UNAUTHORIZED", "KUBE_CLOSED"].includes(code) || isFinal(error.cause, depth + 1);
}

const hasRefused = (error: Error | undefined): boolean => codeOf(error) === "DIAL_REFUSED";

function unanswered(label: string, attempts: number, ms: number, cause: Error | undefined): Error {
  const seconds = (ms / 1000).toFixed(1).replace(/\.0$/, "");
  return attempts === 0
    ? tunnelError("TUNNEL_NO_ENDPOINT", `${label}: no pod was ready within ${seconds} s`, {
        hint: "kubectl get endpointslices shows what the service has; its selector may match no ready pod",
      })
    : tunnelError("TUNNEL_NO_ENDPOINT", `${label}: ${attempts} attempts within ${seconds} s, none of which a pod took`, {
        hint: "the pods may not listen on the service's target port",
        cause,
      });
}
