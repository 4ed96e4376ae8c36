/** A resource quantity ("500m", "1.5Gi", "1e3"), exactly. */
interface Quantity {
  over: bigint;
  under: bigint;
}

const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/** Rule: API reference of `resource.Quantity`. Undefined where `text` isn't one. */
function parseQuantity(text: string): Quantity | undefined {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,3})|([A-Za-z]*))$/.exec(text);
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = match ?? [];
  if (match === null || whole + fraction === "") return undefined;
  const shift = BINARY[suffix];
  const power = exponent !== undefined ? Number(exponent) : shift !== undefined ? 0 : DECIMAL[suffix];
  if (power === undefined) return undefined;
  const digits = (BigInt(whole + fraction) * (sign === "-" ? -1n : 1n)) << (shift ?? 0n);
  const scale = power - fraction.length;
  return scale >= 0 ? { over: digits * 10n ** BigInt(scale), under: 1n } : { over: digits, under: 10n ** BigInt(-scale) };
}

/** As many `unit`s (1, or 1/1000 for CPU) as it has, rounded up. */
const count = ({ over, under }: Quantity, perUnit: bigint): bigint => {
  const all = over * perUnit;
  return all / under + (all % under > 0n ? 1n : 0n);
};

/**
 * `value / divisor` as the kubelet writes a `resourceFieldRef`: both in whole units (thousandths for CPU), the quotient rounded up.
 * A divisor that is absent or 0 is 1. Undefined where either isn't a quantity.
 */
export function divideQuantity(resource: string, value: string, divisor: string | undefined): string | undefined {
  const perUnit = resource === "cpu" ? 1000n : 1n;
  const [number, by] = [parseQuantity(value), parseQuantity(divisor ?? "1")];
  if (number === undefined || by === undefined) return undefined;
  const units = by.over === 0n ? perUnit : count(by, perUnit);
  return String(Math.ceil(Number(count(number, perUnit)) / Number(units)));
}
