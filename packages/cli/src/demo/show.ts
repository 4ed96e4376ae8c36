import type { EnvEntry } from "@shipside/core";
import type { SessionInfo } from "@shipside/daemon/client";
import type { Paint } from "../terminal.ts";

/** The services with their own addresses, as a few lines. */
export function serviceLines({ services }: SessionInfo, paint: Paint): string[] {
  const rows = services.filter(({ address }) => address !== undefined);
  const width = widest(rows.map(({ name }) => name));
  return rows.map(({ name, address, ports }) => {
    const open = ports.map(({ port }) => port).join(", ");
    return `    ${paint("cyan", name.padEnd(width))}  ${address}, port ${open}`;
  });
}

const WHERE: Partial<Record<EnvEntry["origin"]["from"], (origin: never) => string>> = {
  configMap: ({ name }: { name: string }) => `ConfigMap ${name}`,
  secret: ({ name }: { name: string }) => `Secret ${name}`,
  literal: () => "its spec",
  field: ({ path, pod }: { path: string; pod?: string }) => `${path}${pod ? ` of ${pod}` : ""}`,
};

/** One variable of each kind of origin, secrets masked. */
export function envLines(entries: readonly EnvEntry[], paint: Paint): string[] {
  const shown = new Map<string, EnvEntry>();
  for (const entry of entries) {
    if (WHERE[entry.origin.from] && !entry.value.includes("\n") && !shown.has(entry.origin.from))
      shown.set(entry.origin.from, entry);
  }
  const rows = [...shown.values()].map(({ name, value, origin, sensitive }) => {
    const masked = sensitive || origin.from === "secret";
    const text = masked ? "••••••••" : value.length > 44 ? `${value.slice(0, 43)}…` : value;
    return { name, text, from: WHERE[origin.from]!(origin as never) };
  });
  const [names, texts] = [widest(rows.map(({ name }) => name)), widest(rows.map(({ text }) => text))];
  return rows.map(
    ({ name, text, from }) => `    ${paint("cyan", name.padEnd(names))}  ${text.padEnd(texts)}  ${paint("dim", `from ${from}`)}`,
  );
}

const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
