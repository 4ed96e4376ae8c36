import { useEffect, useState } from "preact/hooks";
import { ApiError, api, type Diff, type HeaderChange, query } from "./api.ts";
import { duration } from "./format.ts";

export function DiffPanel({ left, right }: { left: number; right: number }) {
  const [diff, setDiff] = useState<Diff | ApiError>();
  useEffect(() => {
    let over = false;
    api<Diff>("GET", `/diff?${query({ left, right })}`).then(
      (answer) => over || setDiff(answer),
      (error: ApiError) => over || setDiff(error),
    );
    return () => {
      over = true;
    };
  }, [left, right]);

  if (!diff) return <p class="quiet">Comparing…</p>;
  if (diff instanceof ApiError) return <p class="note">{diff.said}</p>;
  const lines = sideBySide(diff.lines);
  return (
    <section class="diff">
      <p class="facts" data-same={diff.same}>
        <strong>{diff.same ? "The answers are the same." : "The answers differ."}</strong>
        <span>
          {left}: {diff.left.status ?? "no status"}, {duration(diff.left.duration)}
        </span>
        <span>
          {right}: {diff.right.status ?? "no status"}, {duration(diff.right.duration)}
        </span>
      </p>
      {diff.note && <p class="note">{diff.note}</p>}
      <Changes title="Header" changes={diff.headers} left={left} right={right} />
      <Changes title="Trailer" changes={diff.trailers} left={left} right={right} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section class="sides" tabIndex={0} aria-label="Bodies side by side">
        {lines.map(([a, b], at) => (
          <div class="pair" key={at}>
            <code class={a && !b ? "gone" : a && a.kind !== "same" ? "gone" : ""}>{a?.text ?? ""}</code>
            <code class={b && b.kind !== "same" ? "new" : ""}>{b?.text ?? ""}</code>
          </div>
        ))}
      </section>
    </section>
  );
}

function Changes({
  title,
  changes,
  left,
  right,
}: {
  title: string;
  changes: readonly HeaderChange[];
  left: number;
  right: number;
}) {
  if (changes.length === 0) return null;
  return (
    <table aria-label={`${title}s that differ`}>
      <thead>
        <tr>
          <th scope="col">{title}</th>
          <th scope="col">{left}</th>
          <th scope="col">{right}</th>
        </tr>
      </thead>
      <tbody>
        {changes.map((each) => (
          <tr key={each.name}>
            <th scope="row">{each.name}</th>
            <td>{each.left ?? "–"}</td>
            <td>{each.right ?? "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Line = Diff["lines"][number];

/** Runs of what was on the left and what is on the right instead stand beside each other. */
function sideBySide(lines: readonly Line[]): [Line | undefined, Line | undefined][] {
  const pairs: [Line | undefined, Line | undefined][] = [];
  let left: Line[] = [];
  let right: Line[] = [];
  const flush = (): void => {
    for (let at = 0; at < Math.max(left.length, right.length); at++) pairs.push([left[at], right[at]]);
    left = [];
    right = [];
  };
  for (const line of lines)
    if (line.kind === "left") left.push(line);
    else if (line.kind === "right") right.push(line);
    else {
      flush();
      pairs.push([line, line]);
    }
  flush();
  return pairs;
}
