import type { Socket as DatagramSocket } from "node:dgram";
import type { Closable, Logger, Plugin, Tap } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import {
  describeMatch,
  markingHeaders,
  type OnProxyEvent,
  openExpose,
  openIntercept,
  parseMatch,
  parsePort,
} from "@shipside/proxy";
import { developer } from "./developer.ts";
import type { Journal } from "./journal.ts";
import { makeClusterObject } from "./residue/cluster-object.ts";
import { recordIntercept } from "./residue/intercept.ts";
import type { IncomingInfo, SessionEvent, SessionOptions } from "./session-info.ts";

/** The part of a session that brings the cluster's traffic here. */
export interface SessionIncoming extends Closable {
  info(): IncomingInfo;
  readonly ended: Promise<Error | undefined>;
}

export interface IncomingComponents {
  cluster: Cluster;
  namespace: string;
  journal: Journal;
  /** Its id. */
  session: string;
  plugins: readonly Plugin[];
  /** As the proxy package takes it. */
  datagramSocket?: (() => Promise<DatagramSocket>) | undefined;
  logger: Logger;
  signal: AbortSignal;
  emit(event: SessionEvent): void;
  warn(error: unknown): void;
  /** Looks on at what arrives. */
  tap: Tap | undefined;
}

/** Opens what `options.expose` or `options.intercept` says, with everything of it in the journal before it is made. */
export async function openIncoming(options: SessionOptions, components: IncomingComponents): Promise<SessionIncoming> {
  const { cluster, namespace, journal, session, plugins, logger, signal, emit, warn, tap } = components;
  const { expose, intercept, kubeconfig } = options;
  const place = { cluster, ...(kubeconfig !== undefined && { kubeconfig }) };
  const onEvent: OnProxyEvent = (event) =>
    event.kind === "notice" ? emit({ step: "notice", message: event.message }) : warn(event.error);
  const me = developer();
  const { service, ports = [], graceSeconds, image } = (expose ?? intercept)!;
  const common = {
    ...{ cluster, namespace, holder: me.holder, ports: ports.map(parsePort), logger, signal, onEvent },
    interceptors: plugins.flatMap(({ interceptors = [] }) => interceptors),
    ...(components.datagramSocket && { datagramSocket: components.datagramSocket }),
    ...(tap && { tap }),
    ...(graceSeconds !== undefined && { graceSeconds }),
    ...(image !== undefined && { image }),
  };
  if (expose) {
    const exposed = await openExpose({
      ...common,
      name: service,
      ...(expose.workload !== undefined && { workload: expose.workload }),
      make: (type, object) => makeClusterObject(journal, place, type, object, session, { signal }),
    });
    emit({ step: "incoming", incoming: exposed.status() });
    return Object.assign(exposed, { info: () => exposed.status() });
  }
  const { match: words = {}, tcp, tlsSecret, mirror, takeOver, holdMs } = intercept!;
  const match = parseMatch(words, me);
  const intercepted = await openIntercept({
    ...common,
    service,
    match,
    ...(tcp && { tcp }),
    ...(tlsSecret !== undefined && { tlsSecret }),
    ...(mirror && { mirror }),
    ...(takeOver && { takeOver }),
    ...(holdMs !== undefined && { holdMs }),
    record: (trace) => recordIntercept(journal, place, trace, session),
  });
  emit({ step: "incoming", incoming: intercepted.status(), match: describeMatch(match), marked: markingHeaders(match) });
  return Object.assign(intercepted, { info: () => intercepted.status() });
}
