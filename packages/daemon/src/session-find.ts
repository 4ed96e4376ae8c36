import { daemonError } from "./errors.ts";
import type { SessionInfo } from "./session-info.ts";

/** A name can't be taken for an option or a path, and is easily typed. */
export const isSessionName = (text: unknown): text is string => typeof text === "string" && /^[A-Za-z][\w.-]{0,62}$/.test(text);
export const SESSION_NAME_HINT = "a letter, then letters, digits, `.`, `_` or `-`, at most 63";

type Named = Pick<SessionInfo, "id" | "name">;

/** The sessions that a user's word means: the one of that name or id, else those whose id begins with it. */
export function matchingSessions<T>(sessions: readonly T[], word: string, info: (session: T) => Named): T[] {
  if (word === "") return [];
  const exact = sessions.filter((session) => info(session).name === word || info(session).id === word);
  return exact.length > 0 ? exact : sessions.filter((session) => info(session).id.startsWith(word));
}

export function unknownSession(word: string, open: readonly Named[], several: boolean): Error {
  const names = open.map(({ id, name }) => (name === undefined ? id : `${id} (${name})`)).join(", ");
  const message = several
    ? `more than one open session fits ${JSON.stringify(word)}`
    : `no open session has the id or name ${JSON.stringify(word)}`;
  return daemonError("SESSION_UNKNOWN", message, { hint: names === "" ? "no session is open" : `open are: ${names}` });
}
