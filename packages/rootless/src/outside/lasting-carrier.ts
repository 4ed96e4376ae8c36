import { hasCode, type ShipsideError } from "@shipside/core";
import { type Carrier, type CarrierOptions, startCarrier } from "./carrier.ts";

export interface LastingCarrierOptions extends CarrierOptions {
  /** Told when it has ended by itself, and is started anew. */
  interrupted(why: ShipsideError): void;
  /** Told when there is a way out again. */
  restored(): void;
}

/** So often it is started anew within so many ms: a program that ends again and again won't do better the next time. */
const MOST = 3;
const WITHIN_MS = 60_000;

/** A carrier that is started anew where it ends by itself. It has ended when that was in vain, or too often. As `startCarrier` rejects. */
export async function startLastingCarrier(options: LastingCarrierOptions): Promise<Carrier> {
  const closing = new AbortController();
  let carrier = await startCarrier(options);

  const last = async (): Promise<ShipsideError | undefined> => {
    let ends: number[] = [];
    for (;;) {
      const why = await carrier.ended;
      if (!why || closing.signal.aborted) return undefined;
      const now = performance.now();
      ends = [...ends.filter((at) => at > now - WITHIN_MS), now];
      if (ends.length > MOST) return why;
      options.interrupted(why);
      try {
        carrier = await startCarrier({ ...options, signal: closing.signal });
      } catch (error) {
        if (closing.signal.aborted) return undefined;
        if (!hasCode(error, "ROOTLESS_OUTSIDE_FAILED")) throw error;
        return error as ShipsideError;
      }
      if (closing.signal.aborted) {
        await carrier.close();
        return undefined;
      }
      options.restored();
    }
  };
  const ended = last();
  ended.catch(() => {});
  const close = async (): Promise<void> => {
    closing.abort();
    await carrier.close();
    await ended.catch(() => {});
  };
  return { ended, close, [Symbol.asyncDispose]: close };
}
