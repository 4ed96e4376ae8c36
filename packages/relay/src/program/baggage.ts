/**
 * The entries of `baggage` headers (W3C Baggage, 3.3): `key=value;property;property=x, …`, values percent-decoded, properties left out.
 * What isn't an entry is passed over. A key may come more than once.
 */
export function parseBaggage(lines: readonly string[]): ReadonlyArray<readonly [key: string, value: string]> {
  return lines
    .flatMap((line) => line.split(","))
    .flatMap((member) => {
      const entry = member.split(";", 1)[0]!;
      const equals = entry.indexOf("=");
      const key = entry.slice(0, equals).trim();
      return equals < 0 || key === "" ? [] : [[key, decode(entry.slice(equals + 1).trim())] as const];
    });
}

function decode(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
