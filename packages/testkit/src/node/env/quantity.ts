/** Powers of ten, or of two, by suffix. */
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

/** An exact fraction; `under` is above 0. */
interface Fraction {
  over: bigint;
  under: bigint;
}

function fraction(text: string | number): Fraction | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3})|([A-Za-z]*))$/.exec(String(text).trim());
  if (!match) return undefined;
  const [, sign, whole = "", decimals = "", exponent, suffix = ""] = match;
  if (whole + decimals === "") return undefined;
  const tens = exponent === undefined ? DECIMAL[suffix] : Number(exponent);
  const twos = BINARY[suffix];
  if (tens === undefined && twos === undefined) return undefined;
  const digits = BigInt(`${sign === "-" ? "-" : ""}${whole}${decimals}`);
  const power = (tens ?? 0) - decimals.length;
  return {
    over: digits * 10n ** BigInt(Math.max(0, power)) * 2n ** BigInt(twos ?? 0),
    under: 10n ** BigInt(Math.max(0, -power)),
  };
}

/** A resource quantity ("500m", "1Gi", "1e3") as a number; undefined where it isn't one. */
export function parseQuantity(text: string | number): number | undefined {
  const found = fraction(text);
  return found && Number(found.over) / Number(found.under);
}

/** `value / divisor`, rounded up to a whole number: how the kubelet writes a `resourceFieldRef`. No divisor, or 0, is 1. */
export function divideQuantity(value: string | number, divisor: string | number | undefined): string | undefined {
  const number = fraction(value);
  let by = fraction(divisor ?? "1");
  if (!number || !by) return undefined;
  if (by.over === 0n) by = { over: 1n, under: 1n };
  const [over, under] = [number.over * by.under, number.under * by.over];
  const quotient = over / under;
  // Division of bigints rounds towards zero.
  return String(over % under !== 0n && over > 0n === under > 0n ? quotient + 1n : quotient);
}
