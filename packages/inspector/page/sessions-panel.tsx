import type { Session, Tunnel } from "./api.ts";
import { clock, size } from "./format.ts";
import { type Rate, type SessionsNow, tunnelKey } from "./rates.ts";

/** Rows of one session; those where something happens come first. */
const MOST = 200;
const HEALTH = { well: "● well", unwell: "● not well", unknown: "○ asking" } as const;
const TONE = { well: "good", unwell: "bad", unknown: "quiet" } as const;

export function SessionsPanel({ now }: { now: SessionsNow | undefined }) {
  if (!now) return <p class="quiet none">Asking what is open…</p>;
  if (now.sessions.length === 0) return <p class="quiet none">No session is open here.</p>;
  return (
    <>
      {now.sessions.map((session) => (
        <SessionCard key={session.id} session={session} rates={now.rates} />
      ))}
    </>
  );
}

function SessionCard({ session, rates }: { session: Session; rates: ReadonlyMap<string, Rate> }) {
  const { id, name, kind, of, context, namespace, openedAt, health, notes } = session;
  const rateOf = (tunnel: Tunnel): Rate | undefined => rates.get(tunnelKey(id, tunnel));
  const weight = (tunnel: Tunnel): number => {
    const { sent = 0, received = 0 } = rateOf(tunnel) ?? {};
    if (tunnel.state === "failed" || tunnel.state === "unlinked") return Number.POSITIVE_INFINITY;
    return sent + received > 0 ? 1e15 + sent + received : tunnel.bytes.sent + tunnel.bytes.received;
  };
  const tunnels = session.tunnels.toSorted((a, b) => weight(b) - weight(a) || 0);
  return (
    <article class="session" aria-label={`Session ${name}`}>
      <h2>
        <span class={`health ${TONE[health]}`}>{HEALTH[health]}</span> {kind} <span class="address">{of}</span>
      </h2>
      <p class="facts">
        {name !== id && <span>{name}</span>}
        <span>{id}</span>
        <span>namespace {namespace}</span>
        <span>context {context}</span>
        <span>since {clock(Date.parse(openedAt))}</span>
      </p>
      {notes.map((note) => (
        <p key={note} class={health === "unwell" ? "note" : "quiet"}>
          {note}
        </p>
      ))}
      {tunnels.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <section class="wide" tabIndex={0} aria-label={`Tunnels of ${name}`}>
          <table>
            <thead>
              <tr>
                {["Service", "Here", "Pods", "Connections", "New", "Sent", "Received", "Rate"].map((title, at) => (
                  <th key={at} scope="col" class={at > 2 ? "number" : ""}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tunnels.slice(0, MOST).map((tunnel) => (
                <TunnelRow key={tunnelKey(id, tunnel)} tunnel={tunnel} rate={rateOf(tunnel)} />
              ))}
            </tbody>
          </table>
        </section>
      )}
      {tunnels.length > MOST && <p class="quiet">and {tunnels.length - MOST} more, where less happens</p>}
    </article>
  );
}

function TunnelRow({ tunnel, rate }: { tunnel: Tunnel; rate: Rate | undefined }) {
  const { direction, namespace, service, port, protocol, state, address, error, pods, connections, bytes } = tunnel;
  const { open, total, failed } = connections;
  const ready = pods.filter((pod) => pod.ready);
  return (
    <tr>
      <th scope="row">
        {service}.{namespace}:{port}
        {protocol === "TCP" ? "" : `/${protocol.toLowerCase()}`}
        {error && <p class={state === "listening" ? "quiet" : "note"}>{error}</p>}
      </th>
      <td>
        {direction === "in" ? "→ " : "← "}
        {address || state}
      </td>
      <td title={pods.map(({ name, ready: is }) => `${name}${is ? "" : " (not ready)"}`).join("\n")}>
        {ready.length === 0 ? (
          <span class="note">none ready</span>
        ) : (
          `${ready[0]!.name.split("/").at(-1)}${ready.length > 1 ? ` and ${ready.length - 1} more` : ""}`
        )}
      </td>
      <td class="number">
        {total}, {open} open{failed > 0 && <span class="status bad">, {failed} failed</span>}
      </td>
      <td class="number">{rate && rate.connections > 0 ? `${rate.connections.toFixed(1)}/s` : ""}</td>
      <td class="number">{size(bytes.sent)}</td>
      <td class="number">{size(bytes.received)}</td>
      <td class="number">{rate && rate.sent + rate.received > 0 ? `${size(Math.round(rate.sent + rate.received))}/s` : ""}</td>
    </tr>
  );
}
