import { divideQuantity } from "@shipside/core";
import type { Json } from "../../json.ts";
import { list } from "../kinds/strategy.ts";

/** A quantity that can be added up: thousandths, and whether it is written by powers of 1,024. */
export interface Amount {
  milli: bigint;
  binary: boolean;
}

export type Amounts = Map<string, Amount>;

export const parseAmount = (text: string | number): Amount => ({
  milli: BigInt(divideQuantity("cpu", text, "1m") ?? 0),
  binary: /i$/.test(String(text)),
});

export const countOf = (count: number): Amount => ({ milli: BigInt(count) * 1000n, binary: false });

/** As Kubernetes writes it: "1500m", "2", "1k", "512Mi". */
export function formatAmount({ milli, binary }: Amount): string {
  if (milli % 1000n !== 0n) return `${milli}m`;
  let value = milli / 1000n;
  const [base, suffixes] = binary ? [1024n, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]] : [1000n, ["", "k", "M", "G", "T", "P", "E"]];
  let power = 0;
  while (value !== 0n && value % base === 0n && power < 6) {
    value /= base;
    power++;
  }
  return `${value}${suffixes[power]}`;
}

export function addAmounts(to: Amounts, from: Amounts): Amounts {
  for (const [name, { milli, binary }] of from) {
    const before = to.get(name);
    to.set(name, { milli: (before?.milli ?? 0n) + milli, binary: before && before.milli !== 0n ? before.binary : binary });
  }
  return to;
}

const amountsIn = (values: Json): Amounts =>
  new Map(Object.entries<string>(values ?? {}).map(([name, text]) => [name, parseAmount(text)]));

/** A pod's requests or limits as a whole: its containers together, or the hungriest init container where that is more. */
export function podAmounts(spec: Json, kind: "requests" | "limits"): Amounts {
  const total: Amounts = new Map();
  const sidecars: Amounts = new Map();
  for (const container of list(spec.containers)) addAmounts(total, amountsIn(container.resources?.[kind]));
  const peaks: Amounts[] = [];
  for (const container of list(spec.initContainers)) {
    const own = amountsIn(container.resources?.[kind]);
    if (container.restartPolicy === "Always") {
      addAmounts(sidecars, own);
      addAmounts(total, own);
    } else peaks.push(addAmounts(new Map(sidecars), own));
  }
  for (const peak of peaks) {
    for (const [name, amount] of peak) if (amount.milli > (total.get(name)?.milli ?? -1n)) total.set(name, amount);
  }
  if (kind === "requests" || total.size > 0) addAmounts(total, amountsIn(spec.overhead));
  return total;
}
