/** A Kubernetes resource quantity ("500m", "1.5Gi", "1e3"), exactly. */
interface Fraction {
  over: bigint;
  /** Above 0. */
  under: bigint;
}

const TENS: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const TWOS: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/** Rule: API reference of `resource.Quantity`. */
function fractionOf(text: string): Fraction | undefined {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,3})|([A-Za-z]*))$/.exec(text);
  const [, sign, whole = "", decimals = "", exponent, suffix = ""] = match ?? [];
  if (!match || whole + decimals === "") return undefined;
  const shift = exponent === undefined && Object.hasOwn(TWOS, suffix) ? TWOS[suffix]! : 0n;
  const power = exponent !== undefined ? Number(exponent) : shift > 0n ? 0 : Object.hasOwn(TENS, suffix) ? TENS[suffix] : undefined;
  if (power === undefined) return undefined;
  const digits = (BigInt(whole + decimals) * (sign === "-" ? -1n : 1n)) << shift;
  const scale = power - decimals.length;
  return scale >= 0 ? { over: digits * 10n ** BigInt(scale), under: 1n } : { over: digits, under: 10n ** BigInt(-scale) };
}

/** As many of `1/perUnit` as it has, rounded up. */
const roundUp = ({ over, under }: Fraction, perUnit: bigint): bigint => {
  const all = over * perUnit;
  return all / under + (all % under > 0n ? 1n : 0n);
};

/** A resource quantity as a number, for comparing; undefined where it isn't one. JSON may have a plain number instead of a text. */
export function parseQuantity(quantity: string | number): number | undefined {
  const found = fractionOf(String(quantity));
  return found && Number(found.over) / Number(found.under);
}

/**
 * `value / divisor` as the kubelet writes a `resourceFieldRef`: both in whole units (thousandths for `cpu`), each rounded up, and so is the
 * quotient. A divisor that is absent or 0 is 1. Undefined where either isn't a quantity.
 */
export function divideQuantity(resource: string, value: string | number, divisor: string | number = "1"): string | undefined {
  const perUnit = resource === "cpu" ? 1_000n : 1n;
  const [amount, by] = [fractionOf(String(value)), fractionOf(String(divisor))];
  if (!amount || !by) return undefined;
  const [units, parts] = [roundUp(amount, perUnit), by.over === 0n ? perUnit : roundUp(by, perUnit)];
  return String(roundUp(parts < 0n ? { over: -units, under: -parts } : { over: units, under: parts }, 1n));
}
