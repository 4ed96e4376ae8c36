import type { BodyView } from "./api.ts";
import { size } from "./format.ts";

/** A body as data: text is set as text, and pictures come from the API under a policy that lets nothing run. */
export function BodyPanel({ title, body, source }: { title: string; body: BodyView; source: string }) {
  if (body.kind === "empty") return <p class="quiet">No body.</p>;
  return (
    <section>
      <p class="facts">
        <span>{size(body.bytes)}</span>
        <span>{body.contentType || "no content-type"}</span>
        <a href={source} download>
          Save
        </a>
      </p>
      {body.note && <p class="note">{body.note}</p>}
      {body.kind === "image" && <img src={source} alt={`The ${title.toLowerCase()}`} />}
      {body.form && <Pairs pairs={body.form.map((field) => [field.name, shownValue(field)])} label={`${title}: fields`} />}
      {body.text && !body.form && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <section class="body" tabIndex={0} aria-label={title}>
          <pre>{body.text}</pre>
        </section>
      )}
    </section>
  );
}

function shownValue({ value, filename, contentType, bytes = 0 }: NonNullable<BodyView["form"]>[number]): string {
  if (filename === undefined) return value;
  return [`${filename} (${[contentType, size(bytes)].filter(Boolean).join(", ")})`, value].filter(Boolean).join("\n");
}

export function Pairs({ pairs, label }: { pairs: [string, string][]; label: string }) {
  return (
    <table aria-label={label}>
      <tbody>
        {pairs.map(([name, value], at) => (
          <tr key={at}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
