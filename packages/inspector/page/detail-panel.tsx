import { useEffect, useState } from "preact/hooks";
import { ApiError, api, type Detail, query, type Summary } from "./api.ts";
import { BodyPanel, Pairs } from "./body-panel.tsx";
import { DiffPanel } from "./diff-panel.tsx";
import { duration, size, tone } from "./format.ts";
import { ReplayForm } from "./replay-form.tsx";

export type Tab = "response" | "request" | "messages" | "replay" | "diff";

export interface DetailPanelProps {
  summary: Summary;
  tab: Tab;
  /** What the answer is compared with. */
  other: number | undefined;
  onTab(tab: Tab): void;
  onClose(): void;
  onPin(): void;
  onCopy(reveal: boolean): void;
  onMark(): void;
  onSent(answer: Summary): void;
}

export function DetailPanel({ summary, tab, other, onTab, onClose, onPin, onCopy, onMark, onSent }: DetailPanelProps) {
  const { id } = summary;
  const [reveal, setReveal] = useState(false);
  const [detail, setDetail] = useState<Detail | ApiError>();
  useEffect(() => setReveal(false), [id]);
  useEffect(() => {
    let over = false;
    api<Detail>("GET", `/exchanges/${id}?${query({ reveal })}`).then(
      (answer) => over || setDetail(answer),
      (error: ApiError) => over || setDetail(error),
    );
    return () => {
      over = true;
    };
  }, [id, reveal, summary.state, summary.status, summary.responseBytes]);

  const shown = detail && !(detail instanceof ApiError) && detail.summary.id === id ? detail : undefined;
  const tabs: [Tab, string][] = [
    ["response", "Answer"],
    ["request", "Request"],
    ...(shown?.messageCount ? ([["messages", `Messages (${shown.messageCount})`]] as [Tab, string][]) : []),
    ["replay", "Send again"],
    ...(other === undefined ? [] : ([["diff", `Compare with ${other}`]] as [Tab, string][])),
  ];
  const onTabKey = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = tabs.findIndex(([name]) => name === tab);
    const [next] = tabs[(at + step + tabs.length) % tabs.length]!;
    onTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <section class="detail" aria-label={`Request ${id}`}>
      <header>
        <button type="button" class="back" onClick={onClose} aria-label="Close the request">
          ✕
        </button>
        <h2>
          <span class={`status ${tone(summary)}`}>{summary.status ?? summary.state}</span> {summary.method}{" "}
          <span class="address">{shown?.url ?? summary.path}</span>
        </h2>
      </header>
      <div class="actions">
        <button type="button" onClick={onPin} aria-pressed={summary.pinned}>
          {summary.pinned ? "★ Pinned" : "☆ Pin"}
        </button>
        <button type="button" onClick={() => onCopy(reveal)}>
          Copy as curl
        </button>
        <button type="button" onClick={onMark}>
          Compare…
        </button>
        <a class="button" href={`/api/har?${query({ ids: id, reveal })}`} download>
          HAR
        </a>
        {(shown?.masked || reveal) && (
          <button type="button" aria-pressed={reveal} onClick={() => setReveal(!reveal)}>
            {reveal ? "Mask secrets" : "Show secrets"}
          </button>
        )}
      </div>
      <div class="tabs" role="tablist" aria-label="Parts of the request" onKeyDown={onTabKey}>
        {tabs.map(([name, title]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={name === tab}
            aria-controls="tab-panel"
            tabIndex={name === tab ? 0 : -1}
            onClick={() => onTab(name)}
          >
            {title}
          </button>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <div class="panel" id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {detail instanceof ApiError && <p class="note">{detail.said}</p>}
        {shown && <Panel detail={shown} tab={tab} other={other} onSent={onSent} />}
      </div>
    </section>
  );
}

function Headers({ title, of, headers }: { title: string; of: string; headers: Detail["trailers"] }) {
  if (headers.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <Pairs pairs={headers} label={`${title} of the ${of}`} />
    </>
  );
}

function Panel({
  detail,
  tab,
  other,
  onSent,
}: {
  detail: Detail;
  tab: Tab;
  other: number | undefined;
  onSent(answer: Summary): void;
}) {
  const { summary, connection, timings } = detail;
  const body = (side: "request" | "response") => (
    <BodyPanel
      title={side === "request" ? "Body of the request" : "Body of the answer"}
      body={detail[side].body}
      source={`/api/exchanges/${summary.id}/${side}/body`}
    />
  );
  switch (tab) {
    case "response":
      return (
        <>
          {detail.note && <p class="note">{detail.note}</p>}
          <p class="facts">
            <span>
              {summary.status ?? "no status"} {detail.statusText}
            </span>
            {detail.grpcStatus && <span class={`status ${tone(summary)}`}>gRPC {detail.grpcStatus}</span>}
            {timings.answered !== undefined && <span>answered after {duration(timings.answered)}</span>}
            <span>
              {summary.state === "failed" ? "failed" : "done"} after {duration(timings.done)}
            </span>
          </p>
          {body("response")}
          <Headers title="Headers" of="answer" headers={detail.response.headers} />
          <Headers title="Trailers" of="answer" headers={detail.trailers} />
        </>
      );
    case "request":
      return (
        <>
          <p class="facts">
            <span>{connection.direction}</span>
            {connection.caller && <span>from {connection.caller}</span>}
            {connection.peer && <span>{connection.caller ? connection.peer : `from ${connection.peer}`}</span>}
            {connection.service && (
              <span>
                to {connection.service}
                {connection.namespace && `.${connection.namespace}`}
                {connection.port !== undefined && `:${connection.port}`}
              </span>
            )}
            {connection.route && <span>{connection.route}</span>}
            {detail.httpVersion && <span>HTTP/{detail.httpVersion}</span>}
          </p>
          {connection.callerNote && <p class="quiet">Who called is shown by its address: {connection.callerNote}.</p>}
          {body("request")}
          <Headers title="Headers" of="request" headers={detail.request.headers} />
        </>
      );
    case "messages":
      return (
        <ol class="messages">
          {detail.messages.map((message, at) => (
            <li key={at} class={message.direction}>
              <p class="facts">
                <span>{message.direction === "in" ? "→ sent" : "← received"}</span>
                <span>{message.kind}</span>
                <span>{size(message.bytes)}</span>
                <span>after {duration(message.at)}</span>
              </p>
              <code>{message.text}</code>
            </li>
          ))}
        </ol>
      );
    case "replay":
      return <ReplayForm key={summary.id} detail={detail} onSent={onSent} />;
    case "diff":
      return other === undefined ? null : <DiffPanel left={other} right={summary.id} />;
  }
}
