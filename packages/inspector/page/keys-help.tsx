import { useEffect, useRef } from "preact/hooks";
import { Pairs } from "./body-panel.tsx";

const KEYS: [string, string][] = [
  ["/", "filter"],
  ["↑ ↓ or j k", "choose a request (in the list)"],
  ["Enter", "open it"],
  ["Escape", "close, or leave a field"],
  ["Space", "pause, go on"],
  ["s", "sessions and tunnels, and back"],
  ["p", "pin"],
  ["c", "copy as curl"],
  ["r", "send again"],
  ["d", "compare with the next one opened"],
];

const TERMS: [string, string][] = [
  ["status:5xx", "how it was answered: 404, 4xx, 400-499"],
  ["method:POST|PUT", "one or the other"],
  ["path:/api", "what the path has in it; host: and service: too"],
  ["header:x-user=alice", "of the request or the answer"],
  ['body:"not found"', "what a body has in it"],
  ["peer:web", "who called: a name, or an address"],
  ["slower:200ms larger:10k", "by time, by size"],
  ["is:failed", "open, done, pinned, replay, incoming, outgoing, …"],
  ["-is:replay", "all but these"],
];

export function KeysHelp({ onClose }: { onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <Pairs pairs={KEYS} label="Keys" />
      <h3>Filter: terms that must all hold</h3>
      <Pairs pairs={TERMS} label="Filter" />
      <button type="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  );
}
