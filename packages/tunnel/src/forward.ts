import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, hasCode, lookOn, type SafeTap, splice } from "@shipside/core";
import type { Candidate } from "./endpoints.ts";
import { tunnelError } from "./errors.ts";
import { createIntake, type Intake, mayTryAnother, standsTrial } from "./intake.ts";

/** What a connection needs to know of the port it came to. */
export interface Route {
  /** For messages: `namespace/name:port`. */
  readonly label: string;
  /** `draining`: one that is terminating but still serves will do. */
  pick(client: string, options: { tried: ReadonlySet<string>; draining: boolean }): Candidate | undefined;
  /** Resolves when the endpoints have changed, or `signal` fires. */
  changed(signal: AbortSignal): Promise<void>;
  /** How long a dial may take, in ms. */
  dialMs(candidate: Candidate): number;
  dial(candidate: Candidate, signal: AbortSignal): Promise<Duplex>;
  /** Called when a pod is dialled; what it returns, when that or the connection is over. */
  chosen(client: string, candidate: Candidate): () => void;
}

export interface ForwardOptions {
  /** Who looks on at the connection, which this pod has taken. */
  look?(candidate: Candidate): SafeTap | undefined;
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
 * A pod that is terminating may end in the midst of its answer, and the one that takes its place is mostly on its way: so for this long
 * a ready one is waited for, in ms, before a draining one is taken.
 */
const DRAINING_AFTER_MS = 2_000;

/** Carries one accepted connection. Never rejects; the client is closed when it resolves. */
export async function forward(client: Socket, route: Route, options: ForwardOptions): Promise<ForwardResult> {
  const began = performance.now();
  const result: ForwardResult = { attempts: 0, heldMs: 0 };
  const from = client.remoteAddress ?? "";
  let gone = false;
  // One signal a connection, by hand: what AbortSignal.any makes stays known to the tunnel's own for as long as that lives.
  const over = new AbortController();
  const { signal } = over;
  const onEnd = (): void => over.abort(options.signal.reason);
  if (options.signal.aborted) onEnd();
  else options.signal.addEventListener("abort", onEnd, { once: true });
  client.on("error", () => {});
  client.once("close", () => {
    gone = true;
    over.abort();
  });
  const intake = createIntake(client);

  let release: (() => void) | undefined;
  try {
    const taken = await connect(from, route, intake, result, options.holdMs, signal);
    const { upstream } = taken;
    release = taken.release;
    result.endpoint = taken.candidate;
    result.heldMs = Math.round(performance.now() - began);
    const tapped = options.look?.(taken.candidate);
    if (tapped) for (const chunk of intake.taken) tapped.data("in", chunk);
    intake.release();
    const done = splice(client, upstream, { signal: options.signal });
    if (tapped) lookOn(client, upstream, tapped);
    // The intake may have paused it.
    client.resume();
    const { error } = await done;
    if (error) result.error = error;
  } catch (error) {
    result.heldMs = Math.round(performance.now() - began);
    if (!gone) result.error = error instanceof Error ? error : new Error(String(error));
    client.resetAndDestroy();
  } finally {
    options.signal.removeEventListener("abort", onEnd);
    release?.();
  }
  return result;
}

interface Taken {
  candidate: Candidate;
  upstream: Duplex;
  release: () => void;
}

/** Tries pods until one stands. Rejects when the time is over, the client has gone, or nothing will help. */
async function connect(
  from: string,
  route: Route,
  intake: Intake,
  result: ForwardResult,
  holdMs: number,
  signal: AbortSignal,
): Promise<Taken> {
  const began = performance.now();
  const tried = new Set<string>();
  let last: Error | undefined;
  /** Since when every pod there is refuses. */
  let refusing: number | undefined;
  for (let round = 0; ; ) {
    if (signal.aborted) throw abortError(signal);
    const now = performance.now();
    const untilDraining = began + Math.min(DRAINING_AFTER_MS, holdMs) - now;
    const candidate = route.pick(from, { tried, draining: untilDraining <= 0 });
    if (!candidate) {
      refusing = tried.size > 0 && hasCode(last, "DIAL_REFUSED") ? (refusing ?? now) : undefined;
      const left = Math.min(began + holdMs, (refusing ?? Number.POSITIVE_INFINITY) + REFUSED_HOLD_MS) - now;
      if (left <= 0) throw unanswered(route.label, result.attempts, now - began, last);
      // Where there is nobody to try, only a change or time helps; those that failed are tried again after a while.
      const pause = tried.size > 0 ? 100 * 2 ** Math.min(round++, 4) : left;
      await changedWithin(route, Math.min(left, pause, untilDraining > 0 ? untilDraining : left), signal);
      tried.clear();
      continue;
    }
    tried.add(candidate.key);
    result.attempts++;
    const release = route.chosen(from, candidate);
    const attempt = await tryOne(route, candidate, intake, signal);
    if (attempt.upstream && !signal.aborted) return { candidate, upstream: attempt.upstream, release };
    release();
    attempt.upstream?.destroy();
    if (signal.aborted) throw abortError(signal);
    last = attempt.error!;
    if (attempt.final) throw last;
  }
}

/** `final`: no other pod may be asked, or none would help. */
type Attempt = { upstream: Duplex; error?: undefined; final?: undefined } | { upstream?: undefined; error: Error; final: boolean };

async function tryOne(route: Route, candidate: Candidate, intake: Intake, signal: AbortSignal): Promise<Attempt> {
  let upstream: Duplex;
  try {
    upstream = await dialWithin(route, candidate, signal);
  } catch (error) {
    return { error: error as Error, final: mendsNothing(error) };
  }
  const error = await standsTrial(upstream, intake, signal);
  if (!error) return { upstream };
  const { fed } = intake;
  intake.withdraw();
  upstream.destroy();
  return { error, final: mendsNothing(error) || !mayTryAnother(error, fed) };
}

/** A pod on a node that has gone answers nothing, while another would. */
async function dialWithin(route: Route, candidate: Candidate, signal: AbortSignal): Promise<Duplex> {
  const late = new AbortController();
  const limit = route.dialMs(candidate);
  const timer = setTimeout(() => late.abort(), limit);
  try {
    return await route.dial(candidate, AbortSignal.any([signal, late.signal]));
  } catch (cause) {
    if (signal.aborted || !late.signal.aborted) throw cause;
    throw tunnelError("DIAL_FAILED", `${route.label}: ${candidate.address} did not connect within ${limit / 1000} s`, { cause });
  } finally {
    clearTimeout(timer);
  }
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

/** Waiting and other pods mend nothing where the user may not do it. A path that has tried several ways gives all their reasons. */
function mendsNothing(error: unknown, depth = 0): boolean {
  if (depth > 5 || !(error instanceof Error)) return false;
  if (hasCode(error, "KUBE_FORBIDDEN", "KUBE_UNAUTHORIZED", "KUBE_CLOSED")) return true;
  if (error instanceof AggregateError)
    return error.errors.length > 0 && error.errors.every((each) => mendsNothing(each, depth + 1));
  return mendsNothing(error.cause, depth + 1);
}

function unanswered(label: string, attempts: number, ms: number, cause: Error | undefined): Error {
  const seconds = (ms / 1000).toFixed(1).replace(/\.0$/, "");
  return attempts === 0
    ? tunnelError("TUNNEL_NO_ENDPOINT", `${label}: no pod was ready within ${seconds} s`, {
        hint: "kubectl get endpointslices shows what the service has; its selector may match no ready pod",
      })
    : tunnelError("TUNNEL_NO_ENDPOINT", `${label}: ${attempts} attempts within ${seconds} s, none of which a pod took`, {
        hint: hasCode(cause, "DIAL_REFUSED") ? "the pods may not listen on the service's target port" : hintOf(cause),
        cause,
      });
}

function hintOf(error: Error | undefined): string {
  return (error as { hint?: string } | undefined)?.hint ?? "the cause says what the last pod answered";
}
