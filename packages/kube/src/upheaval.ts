import { networkInterfaces } from "node:os";

export interface UpheavalOptions {
  /** How often it looks, in ms. Default 5,000. */
  intervalMs?: number;
  now?: () => number;
  /** The machine's addresses to the outside, as one text. */
  addresses?: () => string;
}

/** A tick this late means that the machine slept (or the process stood still). */
const LATE_MS = 10_000;

/**
 * Calls `onChange` with the reason when the clock has jumped (sleep) or the machine's addresses have changed (another network, a VPN that
 * comes or goes): then connections may be dead without anybody having said so. Returns its end. Doesn't keep the process alive.
 */
export function watchForUpheaval(onChange: (reason: string) => void, options: UpheavalOptions = {}): () => void {
  const { intervalMs = 5_000, now = Date.now, addresses = outsideAddresses } = options;
  let at = now();
  let known = addresses();
  const timer = setInterval(() => {
    const late = Math.abs(now() - at - intervalMs) > LATE_MS;
    at = now();
    const current = addresses();
    const moved = current !== known;
    known = current;
    if (late) onChange("the clock jumped");
    else if (moved) onChange("the machine's addresses changed");
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Without loopback and link-local addresses: those come and go with every container. */
function outsideAddresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
    .map(({ address }) => address)
    .sort()
    .join(" ");
}
