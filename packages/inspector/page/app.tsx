import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, query, type Summary } from "./api.ts";
import { DetailPanel, type Tab } from "./detail-panel.tsx";
import { size } from "./format.ts";
import { KeysHelp } from "./keys-help.tsx";
import { RequestList } from "./request-list.tsx";
import { SessionsPanel } from "./sessions-panel.tsx";
import { useTraffic } from "./traffic.ts";

export function App({ opened, allowed }: { opened: number | undefined; allowed: boolean }) {
  const [typed, setTyped] = useState("");
  const [filter, setFilter] = useState("");
  const [paused, setPaused] = useState(false);
  const [selected, setSelected] = useState<number | undefined>(opened);
  const [open, setOpen] = useState<number | undefined>(opened);
  const [tab, setTab] = useState<Tab>("response");
  const [marked, setMarked] = useState<number>();
  const [other, setOther] = useState<number>();
  const [fetched, setFetched] = useState<Summary>();
  const [said, setSaid] = useState("");
  const [help, setHelp] = useState(false);
  const [atSessions, setAtSessions] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const traffic = useTraffic(filter, paused, allowed);
  const { shown, waiting, stats, sessions, connected, lost, error } = traffic;

  // While somebody types, the list waits until they have finished a word.
  useEffect(() => {
    const timer = setTimeout(() => setFilter(typed.trim()), 200);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    if (said === "") return undefined;
    const timer = setTimeout(() => setSaid(""), 4000);
    return () => clearTimeout(timer);
  }, [said]);

  // What is open may not be in the list: the filter hides it, or a link led to it.
  const listed = shown.find(({ id }) => id === open);
  useEffect(() => {
    if (open === undefined || listed) return;
    api<{ summary: Summary }>("GET", `/exchanges/${open}`).then(
      ({ summary }) => setFetched(summary),
      (why: ApiError) => {
        setOpen(undefined);
        setSaid(why.message);
      },
    );
  }, [open, listed]);
  const current = listed ?? (fetched?.id === open ? fetched : undefined);

  const show = (id: number): void => {
    setSelected(id);
    setOpen(id);
    setAtSessions(false);
    history.replaceState(null, "", `#request=${id}`);
    if (marked !== undefined && marked !== id) {
      setOther(marked);
      setMarked(undefined);
      setTab("diff");
    } else if (id !== open) {
      setTab("response");
      setOther(undefined);
    }
  };
  const close = (): void => {
    setOpen(undefined);
    history.replaceState(null, "", location.pathname);
    document.querySelector<HTMLElement>(".list")?.focus();
  };
  const attempt = (work: () => Promise<string>): void => {
    work().then(setSaid, (why: Error) => setSaid(why instanceof ApiError ? why.said : why.message));
  };
  const pin = (one: Summary): void =>
    attempt(async () => {
      const changed = await api<Summary>("PUT", `/exchanges/${one.id}/pin`, { pinned: !one.pinned });
      setFetched(changed);
      return changed.pinned ? `${one.id} is pinned: it stays` : `${one.id} is no longer pinned`;
    });
  const copy = (id: number, reveal: boolean): void =>
    attempt(async () => {
      const { command } = await api<{ command: string }>("GET", `/exchanges/${id}/curl?${query({ reveal })}`);
      await navigator.clipboard.writeText(command);
      return reveal ? "Copied, with its secrets" : "Copied; secrets are masked";
    });
  const clear = (): void =>
    attempt(async () => {
      await api("DELETE", "/exchanges");
      return "Cleared, but for what is pinned";
    });
  const mark = (id: number): void => {
    setMarked(marked === id ? undefined : id);
    setSaid(marked === id ? "" : `Choose the request to compare ${id} with`);
  };
  const sent = (answer: Summary): void => {
    setOther(answer.replayOf ?? undefined);
    setFetched(answer);
    setSelected(answer.id);
    setOpen(answer.id);
    setTab("diff");
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const inField = event.target instanceof Element && event.target.matches("input, textarea, select");
      if (event.key === "Escape") {
        if (help) setHelp(false);
        else if (inField) (event.target as HTMLElement).blur();
        else if (open !== undefined) close();
        return;
      }
      if (inField) return;
      const one = current ?? shown.find(({ id }) => id === selected);
      const keys: Record<string, () => void> = {
        "/": () => field.current?.focus(),
        " ": () => setPaused(!paused),
        "?": () => setHelp(!help),
        s: () => setAtSessions(!atSessions),
        ...(one && {
          p: () => pin(one),
          c: () => copy(one.id, false),
          d: () => mark(one.id),
          r: () => {
            show(one.id);
            setTab("replay");
          },
        }),
      };
      const action =
        event.key === " " && event.target instanceof Element && event.target.matches("button, a") ? undefined : keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  if (!allowed || error?.code === "INSPECTOR_UNAUTHORIZED") return <Locked />;
  const isBadFilter = error?.code === "INSPECTOR_FILTER_INVALID";
  return (
    <div class={`page${current ? " with-detail" : ""}`}>
      <header class="top">
        <h1>Shipside</h1>
        <input
          ref={field}
          type="search"
          aria-label="Filter"
          aria-invalid={isBadFilter}
          aria-describedby="said"
          placeholder="Filter: status:5xx method:POST path:/api header:x=y body:text"
          value={typed}
          spellcheck={false}
          onInput={(event) => setTyped((event.target as HTMLInputElement).value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== "ArrowDown") return;
            event.preventDefault();
            document.querySelector<HTMLElement>(".list")?.focus();
          }}
        />
        <div class="actions">
          <button type="button" aria-pressed={atSessions} onClick={() => setAtSessions(!atSessions)}>
            Sessions{sessions && ` (${sessions.sessions.length})`}
            {sessions?.sessions.some(({ health }) => health === "unwell") && <span class="status bad"> ●</span>}
          </button>
          <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? `Go on${waiting > 0 ? ` (${waiting} new)` : ""}` : "Pause"}
          </button>
          <a class="button" href={`/api/har?${query({ filter })}`} download>
            HAR
          </a>
          <button type="button" onClick={clear}>
            Clear
          </button>
          <button type="button" aria-label="Keys" aria-expanded={help} onClick={() => setHelp(!help)}>
            ?
          </button>
        </div>
      </header>
      {lost && !isBadFilter && (
        <p class="lost" role="alert">
          Shipside doesn't answer: what is shown came before. If it was stopped, <code>shipside inspect</code> opens the page of
          what is open now.
        </p>
      )}
      <main hidden={!atSessions} class="sessions">
        {atSessions && <SessionsPanel now={sessions} />}
      </main>
      <main hidden={atSessions}>
        <section class="requests" aria-label="Traffic">
          {shown.length === 0 && <p class="quiet empty">{emptyText(isBadFilter, filter, connected)}</p>}
          <RequestList items={shown} selected={selected} marked={marked} onSelect={setSelected} onOpen={show} />
        </section>
        {current && (
          <DetailPanel
            summary={current}
            tab={tab}
            other={other}
            onTab={setTab}
            onClose={close}
            onPin={() => pin(current)}
            onCopy={(reveal) => copy(current.id, reveal)}
            onMark={() => mark(current.id)}
            onSent={sent}
          />
        )}
      </main>
      <footer>
        <span class={connected && !isBadFilter ? "good" : "bad"}>{stateText(connected, isBadFilter)}</span>
        <span>
          {shown.length} shown{stats && `, ${stats.kept} kept`}
        </span>
        {stats && stats.drops > 0 && <span class="warn">{size(stats.droppedBytes)} not captured: too much came at once</span>}
        {stats && stats.unread > 0 && (
          <span>
            {stats.unread} {stats.unread === 1 ? "connection" : "connections"} of other protocols
          </span>
        )}
        <span id="said" role="status" class={error ? "bad" : ""}>
          {error ? error.said : said}
        </span>
      </footer>
      {help && <KeysHelp onClose={() => setHelp(false)} />}
    </div>
  );
}

function stateText(connected: boolean, isBadFilter: boolean): string {
  if (isBadFilter) return "○ waits for a filter";
  return connected ? "● live" : "○ not connected";
}

function emptyText(isBadFilter: boolean, filter: string, connected: boolean): string {
  if (isBadFilter) return "The filter can't be read.";
  if (filter !== "") return "Nothing that was captured fits the filter.";
  return connected ? "Nothing was captured yet. Requests appear here as they come." : "Connecting…";
}

function Locked() {
  return (
    <main class="locked">
      <h1>Shipside inspector</h1>
      <p>This page shows traffic only to who was given its link.</p>
      <p>
        Run <code>shipside inspect</code> to open it, or open the link that was printed when it started.
      </p>
    </main>
  );
}
