import type { EnvEntry, ErrorJson, HostsEntry } from "@shipside/core";
import { abortError, errorFromJson } from "@shipside/core";
import type { ProbeResult, SessionEvent, SessionInfo, SessionOptions } from "../session-info.ts";
import type { ControlClient } from "./client.ts";

/** What clients call, by name: the words of the protocol beside its form. */
export interface SessionMethods {
  "session.open": {
    params: { options: SessionOptions; attached: boolean };
    events: SessionEvent | OpenedEvent;
    /** Detached: at once. Attached: when the session has ended, with the reason where it wasn't asked to. */
    result: { error?: ErrorJson };
  };
  /** The env as it is now. */
  "session.env": { params: { id: string }; result: EnvEntry[] };
  "session.list": { params: Record<string, never>; result: SessionInfo[] };
  "session.probe": { params: { most?: number }; result: ProbeResult[] };
  /**
   * The wishes by which another daemon can open what this one keeps, and how many sessions are of commands that run. For all versions.
   * A wish may hold values that the user gave (`env.set`).
   */
  "session.export": { params: Record<string, never>; result: ExportedSessions };
  /** Refused with `VOLUMES_BUSY` where a process works in its volumes; `force` takes them off all the same. */
  "session.end": { params: { id: string; force?: boolean }; result: SessionInfo };
  /** Ends every session but those that `session.end` refuses, and answers with those it has ended. */
  "session.endAll": { params: { force?: boolean }; result: SessionInfo[] };
  /** Where the inspector's page is, and what opens it; null where none is open. `once`: a link that works once, for a browser's command line. */
  inspector: { params: Record<string, never>; result: InspectorPlace | null };
  /** The privileged helper that started the process; null where it has none, as one in the foreground. */
  helper: { params: Record<string, never>; result: { pid: number; version: string; running: boolean } | null };
  /** Ends every session and the process. */
  stop: { params: Record<string, never>; result: SessionInfo[] };
}

export interface InspectorPlace {
  url: string;
  /** With the token in its fragment. */
  link: string;
  once: string;
  /** Of 127.0.0.1; its API takes the token as `Authorization: Bearer`. */
  port: number;
  token: string;
}

export interface ExportedSessions {
  kept: SessionOptions[];
  attached: number;
}

export interface OpenedEvent {
  step: "opened";
  info: SessionInfo;
  env: EnvEntry[];
  entries: HostsEntry[];
}

export interface OpenedSession {
  info: SessionInfo;
  env: readonly EnvEntry[];
  entries: readonly HostsEntry[];
  /** Asks for the env as it is now. */
  currentEnv(): Promise<readonly EnvEntry[]>;
  /** Resolves when it has ended: with the reason, where it wasn't asked to. */
  ended: Promise<Error | undefined>;
  /** Lets go of it; resolves when the other side has undone what it had to. */
  close(): Promise<void>;
}

/**
 * Has another process open a session. `attached`: it is held by this connection, and ends with it. Otherwise it stays until somebody
 * ends it, and `ended` resolves at once.
 */
export async function openRemoteSession(
  client: ControlClient,
  options: SessionOptions,
  context: { attached: boolean; signal?: AbortSignal; onEvent?: (event: SessionEvent) => void },
): Promise<OpenedSession> {
  const { attached, signal, onEvent } = context;
  const cancel = new AbortController();
  let opened: OpenedEvent | undefined;
  let onOpened: (event: OpenedEvent) => void = () => {};
  const opening = new Promise<OpenedEvent>((resolve) => {
    onOpened = resolve;
  });
  const call = client.call("session.open", { options, attached } satisfies SessionMethods["session.open"]["params"], {
    signal: cancel.signal,
    onEvent: (event) => {
      const told = event as SessionEvent | OpenedEvent;
      if (told.step !== "opened") return onEvent?.(told);
      opened = told;
      onOpened(told);
    },
  }) as Promise<SessionMethods["session.open"]["result"]>;
  const ended = call.then(
    ({ error }) => error && errorFromJson(error),
    (error: Error) => (cancel.signal.aborted ? undefined : error),
  );
  const onAbort = (): void => cancel.abort(abortError(signal!));
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    const { info, env, entries } = await Promise.race([opening, call.then(() => opened ?? opening)]);
    return {
      info,
      env,
      entries,
      currentEnv: async () => (await client.call("session.env", { id: info.id })) as EnvEntry[],
      ended: attached ? ended : Promise.resolve(undefined),
      async close() {
        cancel.abort();
        await ended;
      },
    };
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
