import type { TunnelEventSource, TunnelEvents } from "@shipside/tunnel";

/** Listens to several events of a tunnel. Returns its undo. */
export function onTunnelEvents(events: TunnelEventSource, listeners: Partial<TunnelEvents>): () => void {
  const pairs = Object.entries(listeners) as Array<[keyof TunnelEvents, never]>;
  for (const [event, listener] of pairs) events.on(event, listener);
  return () => {
    for (const [event, listener] of pairs) events.off(event, listener);
  };
}
