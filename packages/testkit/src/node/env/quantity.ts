const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A resource quantity ("500m", "1Gi", "1e3") as a number; undefined where it isn't one. */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([A-Za-z]*))$/.exec(String(text).trim());
  if (!match) return undefined;
  const factor = SUFFIXES[match[3] ?? ""];
  return factor === undefined ? undefined : Number(`${match[1]}${match[2] ?? ""}`) * factor;
}

/** `value / divisor`, rounded up to a whole number: how the kubelet writes a `resourceFieldRef`. */
export function divideQuantity(value: string | number, divisor: string | number | undefined): string | undefined {
  const number = parseQuantity(value);
  const by = parseQuantity(divisor === undefined || parseQuantity(divisor) === 0 ? "1" : divisor);
  if (number === undefined || by === undefined) return undefined;
  const quotient = number / by;
  // 0.5 / 0.001 must not become 501 because of binary fractions.
  const near = Math.round(quotient);
  return String(Math.abs(quotient - near) < 1e-6 * Math.max(1, Math.abs(quotient)) ? near : Math.ceil(quotient));
}
