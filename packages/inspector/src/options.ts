import { inspectorError } from "./errors.ts";

/** Everything that bounds what an inspector takes of the process it lives in. */
export interface Budgets {
  /** Requests kept, 1–1,000,000. Default 10,000. */
  maxExchanges: number;
  /** Bytes kept in headers, bodies and messages, from 64 KiB. Default 64 MiB. */
  maxBytes: number;
  /** Bytes kept of one body, from 0. Default 256 KiB. */
  maxBodyBytes: number;
  /** Bytes that wait to be looked at, from 1 KiB; what comes on top is dropped and counted. Default 16 MiB. */
  maxQueuedBytes: number;
  /** Messages kept of one WebSocket or event stream, from 0. Default 1,000. */
  maxMessages: number;
}

const ranges: Readonly<Record<keyof Budgets, readonly [least: number, usual: number, most: number]>> = {
  maxExchanges: [1, 10_000, 1_000_000],
  maxBytes: [64 * 1024, 64 * 1024 * 1024, Number.MAX_SAFE_INTEGER],
  maxBodyBytes: [0, 256 * 1024, 1024 * 1024 * 1024],
  maxQueuedBytes: [1024, 16 * 1024 * 1024, Number.MAX_SAFE_INTEGER],
  maxMessages: [0, 1_000, 1_000_000],
};

/** Fills in what wasn't said. Throws `INSPECTOR_OPTIONS_INVALID`. */
export function budgetsOf(given: Partial<Budgets> = {}): Budgets {
  const budgets = {} as Budgets;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(ranges, name))
      throw inspectorError("INSPECTOR_OPTIONS_INVALID", `the inspector has no budget called ${JSON.stringify(name)}`, {
        hint: `its budgets are ${Object.keys(ranges).join(", ")}`,
      });
  for (const [name, [least, usual, most]] of Object.entries(ranges) as [keyof Budgets, readonly [number, number, number]][]) {
    const value = given[name] ?? usual;
    if (!Number.isSafeInteger(value) || value < least || value > most)
      throw inspectorError("INSPECTOR_OPTIONS_INVALID", `the inspector's ${name} can't be ${JSON.stringify(value)}`, {
        hint: `give a whole number from ${least} to ${most}, or leave it out for ${usual}`,
      });
    budgets[name] = value;
  }
  return budgets;
}
