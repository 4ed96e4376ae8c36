import { type Caller, forwardedHeaders } from "./forwarded.ts";
import { NAMED } from "./http1-fields.ts";
import { editHead, type RequestHead, type ResponseHead } from "./http1-head.ts";

/** What a request's `Connection` may say that holds for the next connection as well. */
const BOTH_SIDES = new Set(["close", "keep-alive", "upgrade", "te"]);
/** What `Connection` can't take out of a request, whatever it names. */
const OF_REQUESTS = new Set([
  ...BOTH_SIDES,
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "authorization",
  "cookie",
]);

/** How the requests of one caller go on. */
export type OnwardRequests = (head: RequestHead, options?: { close?: boolean }) => Buffer;

/**
 * The head as it goes on. `Connection` keeps its meaning, for each of a client's connections has its own behind it; fields that it names
 * end here (RFC 9110, 7.6.1), and so does an upgrade to HTTP/2, whose requests could not be told apart.
 */
export function onwardRequests(caller: Omit<Caller, "host">): OnwardRequests {
  let lastHost: string | undefined;
  let lastAdded = Buffer.alloc(0);

  // A client's requests differ in little: what is added to one that tells of no callers itself is the same for the next to that host.
  const plain = (head: RequestHead): Buffer => {
    const [host] = head.fields.values("host");
    if (lastAdded.length === 0 || host !== lastHost) {
      const lines = forwardedHeaders(() => undefined, { ...caller, host }).map(([name, value]) => `${name}: ${value}\r\n`);
      lastAdded = Buffer.from(`${lines.join("")}\r\n`, "latin1");
      lastHost = host;
    }
    const kept = head.length - 2;
    const onward = Buffer.allocUnsafe(kept + lastAdded.length);
    head.bytes.copy(onward, 0, 0, kept);
    lastAdded.copy(onward, kept);
    return onward;
  };

  return (head, { close = false } = {}) => {
    const kept = close ? ["close"] : keptTokens(head);
    if (!kept && !head.fields.has(NAMED.CALLER)) return plain(head);
    const { fields } = head;
    const given = (name: string): string | undefined => {
      const values = fields.values(name);
      return values.length > 0 ? values.join(", ") : undefined;
    };
    const added = forwardedHeaders(given, { ...caller, host: given("host") });
    const leaveOut = new Set(added.map(([name]) => name.toLowerCase()));
    leaveOut.add("proxy-connection");
    if (kept) {
      for (const name of head.connection) if (!OF_REQUESTS.has(name)) leaveOut.add(name);
      leaveOut.add("connection");
      if (fields.tokens("upgrade").has("h2c")) leaveOut.add("upgrade").add("http2-settings");
      if (kept.length > 0) added.push(["Connection", kept.join(", ")]);
    }
    return editHead(head, leaveOut, added);
  };
}

/** The tokens to stay, where the line can't stay as it is. */
function keptTokens({ connection, fields }: RequestHead): string[] | undefined {
  if (connection.size === 0) return undefined;
  const toHttp2 = connection.has("upgrade") && fields.tokens("upgrade").has("h2c");
  const kept = [...connection].filter((token) => BOTH_SIDES.has(token) && !(toHttp2 && token === "upgrade"));
  return kept.length === connection.size ? undefined : kept;
}

/** What an answer's `Connection` may name that holds for the client's connection as well. */
const BOTH_SIDES_BACK = new Set(["close", "keep-alive", "upgrade"]);
const OF_ANSWERS = new Set([...BOTH_SIDES_BACK, "content-length", "transfer-encoding", "connection", "trailer", "set-cookie"]);
const NOTHING: ReadonlySet<string> = new Set();
/** RFC 9112, 6.3: of the two lengths only the chunks are true. */
const BESIDE_CHUNKS: ReadonlySet<string> = new Set(["content-length"]);

/**
 * The head as the client gets it; undefined: as received. It isn't where it names fields that end here, says two lengths, or the relay is
 * about to go.
 */
export function onwardAnswer(head: ResponseHead, chunked: boolean, draining: boolean): Buffer | undefined {
  const { connection, fields } = head;
  const lengths = chunked && fields.has(NAMED.LENGTH) ? BESIDE_CHUNKS : NOTHING;
  const strangers = connection.size > 0 ? [...connection].filter((token) => !BOTH_SIDES_BACK.has(token)) : [];
  if (!draining && strangers.length === 0) return lengths === NOTHING ? undefined : editHead(head, lengths, []);
  const leaveOut = new Set([...lengths, ...strangers.filter((name) => !OF_ANSWERS.has(name)), "connection"]);
  const kept = draining ? ["close"] : [...connection].filter((token) => BOTH_SIDES_BACK.has(token));
  return editHead(head, leaveOut, kept.length > 0 ? [["Connection", kept.join(", ")]] : []);
}
