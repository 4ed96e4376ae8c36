import { daemonError } from "./errors.ts";

/** The names that users gave their sessions: each is one session's, from the beginning of its opening to its end. */
export interface SessionClaims {
  /**
   * `key`: which session, as its wish. Each claim is given back by the returned function. Throws `SESSION_NAME_TAKEN` where the name is
   * another's.
   */
  claim(name: string, key: string): () => void;
}

/** `idOf`: the id of the open session that has a name. */
export function createSessionClaims(idOf: (name: string) => string | undefined): SessionClaims {
  const claims = new Map<string, { key: string; holders: number }>();
  return {
    claim(name, key) {
      const claim = claims.get(name) ?? { key, holders: 0 };
      if (claim.key !== key) {
        const taken = idOf(name);
        throw daemonError("SESSION_NAME_TAKEN", `there is a session of the name ${name} already${taken ? `: ${taken}` : ""}`, {
          hint: `\`shipside session close ${name}\` closes it; or give another name`,
        });
      }
      claim.holders++;
      claims.set(name, claim);
      return () => {
        if (--claim.holders === 0) claims.delete(name);
      };
    },
  };
}
