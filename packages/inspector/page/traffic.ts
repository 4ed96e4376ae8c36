import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, type Batch, type OpenSessions, query, type Stats, type Summary } from "./api.ts";
import { type SessionsNow, withRates } from "./rates.ts";

export interface Traffic {
  /** Newest first; stands still while paused. */
  shown: readonly Summary[];
  /** Came while paused. */
  waiting: number;
  stats: Stats | undefined;
  /** What is open; undefined until it is known. */
  sessions: SessionsNow | undefined;
  connected: boolean;
  /** It was connected, and isn't. */
  lost: boolean;
  error: ApiError | undefined;
}

const NOTHING: Traffic = {
  shown: [],
  waiting: 0,
  stats: undefined,
  sessions: undefined,
  connected: false,
  lost: false,
  error: undefined,
};

/** The list for a filter, kept current by the server's events. */
export function useTraffic(filter: string, paused: boolean, ready: boolean): Traffic {
  const [traffic, setTraffic] = useState<Traffic>(NOTHING);
  const held = useRef(new Map<number, Summary>());
  const isPaused = useRef(paused);
  const shownFirst = useRef(0);
  isPaused.current = paused;

  const render = (more: Partial<Traffic>): void => {
    setTraffic((before) => {
      if (isPaused.current) {
        let waiting = 0;
        for (const id of held.current.keys()) if (id > shownFirst.current) waiting++;
        // What is shown may still change: a pin, the end of a request.
        return { ...before, ...more, waiting, shown: before.shown.map((each) => held.current.get(each.id) ?? each) };
      }
      const shown = [...held.current.values()].sort((a, b) => b.id - a.id);
      shownFirst.current = shown[0]?.id ?? 0;
      return { ...before, ...more, waiting: 0, shown };
    });
  };

  useEffect(() => {
    if (!paused) render({});
  }, [paused]);

  useEffect(() => {
    if (!ready) return undefined;
    let over = false;
    let events: EventSource | undefined;
    const start = async (): Promise<void> => {
      events?.close();
      const list = new Map<number, Summary>();
      let listed = false;
      const take = ({ changed, removed }: Batch): void => {
        for (const id of removed) list.delete(id);
        for (const each of changed) list.set(each.id, each);
      };
      try {
        // Listen first: what changes between the list and the events would be missed.
        const early: Batch[] = [];
        events = new EventSource(`/api/events?${query({ filter })}`);
        events.addEventListener("batch", ({ data }: MessageEvent<string>) => {
          const batch = JSON.parse(data) as Batch;
          if (listed) take(batch);
          else early.push(batch);
          if (listed) render({ stats: batch.stats, connected: true, lost: false });
        });
        events.addEventListener("sessions", ({ data }: MessageEvent<string>) => {
          const now = JSON.parse(data) as OpenSessions;
          setTraffic((before) => ({ ...before, sessions: withRates(before.sessions, now) }));
        });
        events.addEventListener("reload", () => void start());
        let wasLost = false;
        events.addEventListener("error", () => {
          wasLost = true;
          render({ connected: false, lost: true });
        });
        events.addEventListener("open", () => {
          if (wasLost) void start();
          else render({ connected: true, lost: false });
        });
        const { exchanges } = await api<{ exchanges: Summary[] }>("GET", `/exchanges?${query({ filter })}`);
        if (over) return;
        for (const each of exchanges) list.set(each.id, each);
        listed = true;
        for (const batch of early) take(batch);
        held.current = list;
        render({ error: undefined, connected: true, lost: false, ...(early.length > 0 && { stats: early.at(-1)!.stats }) });
      } catch (error) {
        events?.close();
        if (!over) setTraffic((before) => ({ ...before, error: error as ApiError }));
      }
    };
    void start();
    return () => {
      over = true;
      events?.close();
    };
  }, [filter, ready]);

  return traffic;
}
