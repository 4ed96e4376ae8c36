import { hasCode, type Logger } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import type { TokenWish } from "./payload.ts";
import type { Obstacle } from "./plan.ts";
import { requestToken, type ServiceAccountToken } from "./token.ts";

export interface Tokens {
  /** The same one until a fresh one is due. */
  token(wish: TokenWish): Promise<string | Obstacle>;
  close(): void;
}

export interface TokensOptions {
  namespace: string;
  serviceAccount: string;
  signal: AbortSignal;
  logger: Logger;
  /** A token should be asked for again. */
  onDue(): void;
}

/** A refused token is asked for again after this, in ms: roles are granted. */
const RETRY_MS = 60_000;

/** The tokens of one service account, each renewed in time. */
export function openTokens(cluster: Pick<Cluster, "create">, options: TokensOptions): Tokens {
  const { signal, logger, onDue, namespace, serviceAccount } = options;
  const held = new Map<string, ServiceAccountToken>();
  const timers = new Map<string, NodeJS.Timeout>();
  let closed = false;

  const remind = (key: string, at: number): void => {
    clearTimeout(timers.get(key));
    if (closed) return;
    timers.set(key, setTimeout(onDue, Math.max(0, at - Date.now())).unref());
  };
  return {
    async token(wish) {
      const key = JSON.stringify([wish.audience, wish.expirationSeconds]);
      const known = held.get(key);
      if (known && Date.now() < known.renewAt) return known.token;
      try {
        const fresh = await requestToken(cluster, { ...wish, namespace, serviceAccount, signal });
        held.set(key, fresh);
        remind(key, fresh.renewAt);
        return fresh.token;
      } catch (error) {
        if (signal.aborted || !hasCode(error, "VOLUMES_TOKEN_REFUSED")) throw error;
        const { message, hint } = error as Error & { hint?: string };
        logger.warn("no service account token", { namespace, serviceAccount, error: message });
        remind(key, Date.now() + RETRY_MS);
        // The one there is may still be good for a fifth of its time.
        return known?.token ?? { code: "VOLUMES_TOKEN_REFUSED", message, ...(hint !== undefined && { hint }) };
      }
    },
    close() {
      closed = true;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
