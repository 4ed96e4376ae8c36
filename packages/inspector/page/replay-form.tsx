import { useState } from "preact/hooks";
import { type ApiError, api, type Detail, type Headers, type Summary } from "./api.ts";
import { areWhole, editedOf, MessageFields } from "./message-fields.tsx";

const asText = (headers: Headers): string => headers.map(([name, value]) => `${name}: ${value}`).join("\n");

function fromText(text: string): Headers {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [line.trim(), ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });
}

/** Only what was edited is sent: the rest, and what is masked, is what was captured. */
export function ReplayForm({ detail, onSent }: { detail: Detail; onSent(answer: Summary): void }) {
  const { summary, request, replayTargets } = detail;
  const asked = { method: summary.method, path: summary.path, headers: asText(request.headers), body: request.body.text };
  const editable =
    request.body.kind === "empty" ||
    request.body.kind === "text" ||
    request.body.kind === "json" ||
    (request.body.kind === "form" && request.body.text !== "");
  const [given, setGiven] = useState(asked);
  const frames = request.body.kind === "grpc" ? (request.body.frames ?? []) : [];
  const isText = frames.some(({ text }) => text !== undefined);
  const [messages, setMessages] = useState<string[]>();
  const [target, setTarget] = useState(replayTargets[0]?.name ?? "");
  const [state, setState] = useState<{ busy: boolean; error?: ApiError }>({ busy: false });

  if (replayTargets.length === 0) return <p class="note">It can't be sent again: nobody serves it on this machine.</p>;
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setState({ busy: true });
    const edit = {
      ...(given.method !== asked.method && { method: given.method }),
      ...(given.path !== asked.path && { path: given.path }),
      ...(given.headers !== asked.headers && { headers: fromText(given.headers) }),
      ...(given.body !== asked.body && { body: given.body }),
      ...(messages && { messages: messages.map((each) => (isText ? { text: each } : { hex: each })) }),
    };
    try {
      const answer = await api<Summary>("POST", `/exchanges/${summary.id}/replay`, { target, edit });
      setState({ busy: false });
      onSent(answer);
    } catch (error) {
      setState({ busy: false, error: error as ApiError });
    }
  };
  const field = (name: keyof typeof asked) => ({
    value: given[name],
    onInput: (event: Event) => setGiven({ ...given, [name]: (event.target as HTMLInputElement).value }),
  });
  return (
    <form class="replay" onSubmit={send}>
      <div class="line">
        <label>
          Method <input {...field("method")} size={7} spellcheck={false} />
        </label>
        <label class="wide">
          Path <input {...field("path")} spellcheck={false} />
        </label>
        <label>
          To{" "}
          <select value={target} onChange={(event) => setTarget((event.target as HTMLSelectElement).value)}>
            {replayTargets.map(({ name, origin }) => (
              <option key={name} value={name}>
                {name} ({origin})
              </option>
            ))}
          </select>
        </label>
      </div>
      <label>
        Headers <textarea rows={Math.min(10, request.headers.length + 1)} {...field("headers")} spellcheck={false} />
      </label>
      {request.body.kind === "grpc" && areWhole(request.body) ? (
        <MessageFields messages={messages ?? editedOf(frames)} isText={isText} onEdit={setMessages} />
      ) : editable ? (
        <label>
          Body <textarea rows={6} {...field("body")} spellcheck={false} />
        </label>
      ) : (
        <p class="quiet">The body is sent as it was captured.</p>
      )}
      {state.error && (
        <p class="note" role="alert">
          {state.error.said}
        </p>
      )}
      <button type="submit" class="main" disabled={state.busy}>
        {state.busy ? "Sending…" : "Send again"}
      </button>
    </form>
  );
}
