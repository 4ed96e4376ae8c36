import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Summary } from "./api.ts";
import { clock, duration, size, tone } from "./format.ts";

/** px; the style sheet's `--row` is the same. */
const ROW = 34;
const AROUND = 8;

export interface RequestListProps {
  items: readonly Summary[];
  selected: number | undefined;
  /** Of a request that is compared with the next one chosen. */
  marked: number | undefined;
  onSelect(id: number): void;
  onOpen(id: number): void;
}

/** Only the rows that are seen are in the document. What is looked at stays where it is while newer ones come in above. */
export function RequestList({ items, selected, marked, onSelect, onOpen }: RequestListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  /** The row at the top, and its request. */
  const anchor = useRef(0);
  const first = useRef<number | undefined>(undefined);

  useEffect(() => {
    const element = box.current!;
    const measure = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  useLayoutEffect(() => {
    const element = box.current!;
    const before = first.current;
    if (before !== undefined && element.scrollTop > 0) {
      const moved = items.findIndex(({ id }) => id <= before) - anchor.current;
      if (moved > 0) element.scrollTop += moved * ROW;
    }
    anchor.current = Math.floor(element.scrollTop / ROW);
    first.current = items[anchor.current]?.id;
  }, [items, view.top]);

  const index = items.findIndex(({ id }) => id === selected);
  useLayoutEffect(() => {
    const element = box.current!;
    if (index < 0) return;
    const top = index * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW - element.clientHeight;
  }, [selected]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(view.height / ROW) - 1);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: page,
      PageUp: -page,
      Home: -items.length,
      End: items.length,
    };
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step !== undefined && items.length > 0) {
      event.preventDefault();
      const next = Math.min(items.length - 1, Math.max(0, index < 0 ? 0 : index + step));
      onSelect(items[next]!.id);
    } else if (event.key === "Enter" && selected !== undefined) {
      event.preventDefault();
      onOpen(selected);
    }
  };

  const from = Math.max(0, Math.floor(view.top / ROW) - AROUND);
  const rows = items.slice(from, Math.ceil((view.top + view.height) / ROW) + AROUND);
  return (
    <>
      <div class="heads" aria-hidden="true">
        <span>Status</span>
        <span>Method</span>
        <span>Path</span>
        <span class="host">To</span>
        <span class="caller">From</span>
        <span class="size">Size</span>
        <span class="time">Took</span>
        <span class="at">At</span>
      </div>
      <div
        class="list"
        ref={box}
        role="listbox"
        aria-label="Requests, newest first"
        aria-activedescendant={rows.some(({ id }) => id === selected) ? `request-${selected}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <div class="sizer" role="presentation" style={{ height: `${items.length * ROW}px` }}>
          {rows.map((item, at) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the list box has the keys for all of its options
            // biome-ignore lint/a11y/useFocusableInteractive: the list box has the focus, and names the active option
            <div
              key={item.id}
              id={`request-${item.id}`}
              class={`row ${tone(item)}${item.id === marked ? " marked" : ""}`}
              role="option"
              aria-selected={item.id === selected}
              aria-setsize={items.length}
              aria-posinset={from + at + 1}
              style={{ transform: `translateY(${(from + at) * ROW}px)` }}
              onClick={() => onOpen(item.id)}
            >
              <span class="status">{item.status ?? { failed: "ERR", open: "…", done: "–" }[item.state]}</span>
              <span class="method" title={item.method}>
                {item.method}
              </span>
              <span class="path">
                {item.pinned && <span title="pinned">★ </span>}
                {item.replayOf !== null && <span title={`sends ${item.replayOf} again`}>↻ </span>}
                {item.grpcStatus && !item.grpcStatus.startsWith("0 ") && (
                  <span class="status">{item.grpcStatus.split(" ").at(-1)} </span>
                )}
                {item.path}
              </span>
              <span class="host">{item.service || item.host}</span>
              <span class="caller">{item.replayOf === null ? item.caller : "you"}</span>
              <span class="size">{size(item.responseBytes)}</span>
              <span class="time">{duration(item.duration)}</span>
              <span class="at">{clock(item.startedAt)}</span>
            </div>
          ))}
        </div>
      </div>
    </>
  );
}
