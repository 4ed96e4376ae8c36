import { createCloser, type Tap } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import type { TunnelTap } from "@shipside/tunnel";
import type { Session } from "../session.ts";
import type { IncomingInfo, SessionOptions } from "../session-info.ts";
import { createShared } from "../shared.ts";
import { createCallers, plainPeer } from "./callers.ts";
import { connectClusterEnd } from "./cluster-end.ts";
import type { OpenInspection } from "./open-inspection.ts";
import { sessionViews } from "./session-views.ts";

export interface InspectionOptions {
  /** Where its page is: the next free port from there. Default 4040. */
  port?: number;
  /** The folder of the page's files. Default: the inspector package's. */
  page?: URL;
}

/** A session whose traffic is looked at. */
export interface LookedSession {
  id: string;
  cluster: Cluster;
  namespace: string;
  /** What comes to it from the cluster; undefined where nothing does, or not yet. */
  incoming(): IncomingInfo | undefined;
}

/** A session's part in the inspector of its process. */
export interface SessionLook {
  /** Resolves when the page is served. Rejects with `INSPECTOR_PORT_TAKEN`. */
  readonly opened: Promise<OpenInspection>;
  /** For what arrives, and for what goes out by tunnels. Undefined: its traffic is not looked at. */
  readonly taps: ((session: LookedSession) => { incoming: Tap; outgoing: TunnelTap }) | undefined;
  /** With the last one the page closes, and what was captured is gone. */
  release(): Promise<void>;
}

/** The one inspector of a process: loaded and served for the first session that wants it, for as long as one is open. */
export interface Inspection {
  /** Undefined where a session of such options has nothing to look at. */
  look(options: SessionOptions): SessionLook | undefined;
  /** Where it is served now. */
  readonly current: OpenInspection | undefined;
}

export function createInspection({ port, page }: InspectionOptions, sessions: () => readonly Session[]): Inspection {
  const shared = createShared<OpenInspection>();
  const looked = new Map<string, LookedSession & { options: SessionOptions }>();
  let current: OpenInspection | undefined;

  const open = async (): Promise<OpenInspection> => {
    const { openInspection } = await import("./open-inspection.ts");
    const opened = await openInspection({
      ...{ port, page },
      sessions: sessionViews(sessions),
      replayTargets({ connection: { session: id = "", direction, namespace, service, port: remote, localPort } }) {
        const session = looked.get(id);
        const local =
          direction === "incoming" && localPort !== undefined ? [{ name: "local", origin: `http://127.0.0.1:${localPort}` }] : [];
        if (!session || !namespace || service === undefined || remote === undefined) return local;
        const backend = backendOf(session);
        if (direction === "incoming" && backend === undefined) return local;
        return [
          ...local,
          {
            name: "cluster",
            origin: `http://${service}.${namespace}:${remote}`,
            connect: ({ signal }) =>
              connectClusterEnd(session.cluster, {
                ...{ namespace, service, port: remote, signal },
                ...(backend !== undefined && { backend }),
              }),
          },
        ];
      },
    });
    const close = async (): Promise<void> => {
      current = undefined;
      await opened.close();
    };
    current = opened;
    return { ...opened, close, [Symbol.asyncDispose]: close };
  };

  return {
    get current() {
      return current;
    },
    look(options) {
      const { kind = "teleport", capture = kind !== "teleport" } = options;
      if (options.capture === false || kind === "env" || kind === "mount") return undefined;
      const closer = createCloser();
      const opened = shared.acquire("inspector", open).then((held) => {
        closer.defer(held.release);
        return held.value;
      });
      opened.catch(() => {});
      let inspection: OpenInspection | undefined;
      void opened.then(
        (value) => {
          inspection = value;
        },
        () => {},
      );
      const taps: SessionLook["taps"] = (session) => {
        const callerOf = createCallers(session.cluster, session.namespace);
        looked.set(session.id, { ...session, options });
        closer.defer(() => looked.delete(session.id));
        return {
          incoming({ protocol, peer: from, ...facts }) {
            if (protocol !== "TCP" || !inspection) return undefined;
            const peer = plainPeer(from);
            const caller = callerOf(peer);
            return inspection.inspector.connection(
              { direction: "incoming", peer, ...facts, session: session.id, ...(caller instanceof Promise ? {} : caller) },
              caller instanceof Promise ? { caller } : {},
            );
          },
          outgoing: ({ namespace, service, port: remote, client, endpoint }) =>
            inspection?.inspector.connection({
              ...{ direction: "outgoing", namespace, service, port: remote, peer: client, session: session.id },
              route: `by the tunnel, to ${endpoint}`,
            }),
        };
      };
      return {
        opened,
        taps: capture ? taps : undefined,
        async release() {
          await opened.catch(() => {});
          inspection = undefined;
          await closer.close();
        },
      };
    },
  };
}

/** The Service that leads to the pods which would answer without us; undefined where there are none, or they are not to be had by plain HTTP. */
function backendOf({ incoming, options }: LookedSession & { options: SessionOptions }): string | undefined {
  const info = incoming();
  return info && "backend" in info && options.intercept?.tlsSecret === undefined ? info.backend : undefined;
}
