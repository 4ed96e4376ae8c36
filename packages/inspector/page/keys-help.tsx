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

export function KeysHelp({ onClose }: { onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <Pairs pairs={KEYS} label="Keys" />
      <button type="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  );
}
