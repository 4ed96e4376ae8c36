import type { BodyView } from "./api.ts";

type Frame = NonNullable<BodyView["frames"]>[number];

/** A call's messages as they are edited: JSON as it is, all else as hex. */
export const editedOf = (frames: readonly Frame[]): string[] =>
  frames.map(({ text, hex }) => text ?? (hex.match(/.{1,32}/g) ?? []).map((line) => line.replace(/..(?!$)/g, "$& ")).join("\n"));

/** Whether all of the body is here, message by message, and so can be edited. */
export const areWhole = ({ bytes, frames = [] }: BodyView): boolean =>
  frames.every(({ whole, trailers }) => whole && trailers === undefined) &&
  frames.reduce((sum, frame) => sum + frame.bytes + 5, 0) === bytes;

/** One field a message: a call that streams has several. */
export function MessageFields({
  messages,
  isText,
  onEdit,
}: {
  messages: readonly string[];
  isText: boolean;
  onEdit(messages: string[]): void;
}) {
  const name = isText ? "JSON" : "hex";
  return (
    <>
      {messages.map((message, at) => (
        <div key={at} class="message">
          <label>
            Message {at + 1} ({name}){" "}
            <textarea
              rows={Math.min(8, message.split("\n").length + 1)}
              value={message}
              spellcheck={false}
              onInput={(event) => onEdit(messages.with(at, (event.target as HTMLTextAreaElement).value))}
            />
          </label>
          <button type="button" aria-label={`Remove message ${at + 1}`} onClick={() => onEdit(messages.toSpliced(at, 1))}>
            ✕
          </button>
        </div>
      ))}
      <button type="button" class="add" onClick={() => onEdit([...messages, ""])}>
        Add a message
      </button>
    </>
  );
}
