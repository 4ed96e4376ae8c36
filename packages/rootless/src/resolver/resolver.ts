import {
  type Closable,
  createCloser,
  errorToJson,
  isHostName,
  type ListenerFactory,
  type Logger,
  silentLogger,
} from "@shipside/core";
import { rootlessError } from "../errors.ts";
import { joined, judge, writeAnswer, type Zone } from "./answer.ts";
import { clusterRecords } from "./cluster-records.ts";
import type { ClusterService } from "./cluster-service.ts";
import type { Exchange } from "./exchange.ts";
import { machineServers } from "./machine-servers.ts";
import { FLAG, IN, type Message, RCODE, readMessage, writeMessage } from "./message.ts";
import { serveTcp } from "./serve-tcp.ts";
import { serveUdp } from "./serve-udp.ts";

export interface ResolverOptions {
  /** Makes the sockets, for UDP too: the agent's are inside the namespace. Left open. */
  listeners: ListenerFactory;
  /** Where to listen, UDP and TCP: the cluster DNS's ClusterIP, say. */
  addresses: readonly string[];
  /** Default 53. */
  port?: number;
  /** The cluster's domain. Default `cluster.local`. */
  zone?: string;
  /** Of records and of "no such name", in seconds, 0–3,600. Default 5. */
  ttl?: number;
  services?: readonly ClusterService[];
  /** Namespaces that exist without a service. */
  namespaces?: readonly string[];
  /** Who answers for what the cluster doesn't. Default: the servers of this machine's resolv.conf. */
  exchange?: Exchange;
  logger?: Logger;
}

export interface Resolver extends Closable {
  /** Replaces all services; answers from now on are from these. */
  update(services: readonly ClusterService[], namespaces?: readonly string[]): void;
}

/** Queries under way to other servers. What comes on top is told SERVFAIL, instead of filling the memory. */
const MOST_PASSED_ON = 512;

/**
 * Answers DNS queries for the names of a cluster, and passes all others on. Rejects with what the listener factory rejects with, and with
 * `ROOTLESS_INVALID_OPTION`.
 */
export async function openResolver(options: ResolverOptions): Promise<Resolver> {
  const { listeners, addresses, port = 53, ttl = 5, logger = silentLogger, exchange = machineServers() } = options;
  const name = (options.zone ?? "cluster.local").toLowerCase();
  if (!isHostName(name)) throw invalid("zone", name, "give the cluster's domain, such as cluster.local");
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > 3_600) throw invalid("ttl", ttl, "give seconds from 0 to 3600");
  if (!listeners.listenDatagrams) throw invalid("listeners", listeners.name, "give a listener factory that makes UDP sockets, too");

  const zone: Zone = { name, ttl, serial: 0, turn: 0, records: { find: () => undefined } };
  const update = (services: readonly ClusterService[], namespaces: readonly string[] = options.namespaces ?? []): void => {
    zone.records = clusterRecords({ zone: name, services, namespaces, servers: addresses });
    zone.serial++;
  };
  update(options.services ?? []);

  const ended = new AbortController();
  let passedOn = 0;
  const askElsewhere: Exchange = async (query, how) => {
    if (passedOn >= MOST_PASSED_ON)
      throw rootlessError("ROOTLESS_DNS_UNANSWERED", `${MOST_PASSED_ON} queries wait for an answer already`);
    passedOn++;
    try {
      return await exchange(query, how);
    } finally {
      passedOn--;
    }
  };

  /** Never rejects; without an answer the client is to hear nothing. */
  const respond = async (bytes: Buffer, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> => {
    let query: Message;
    try {
      query = readMessage(bytes);
    } catch {
      return formErr(bytes);
    }
    try {
      zone.turn++;
      const verdict = judge(query, zone);
      if (verdict.kind === "ignore") return undefined;
      if (verdict.kind === "pass") return await askElsewhere(bytes, { transport, signal: ended.signal });
      let { answer } = verdict;
      if (verdict.follow !== undefined) {
        const { type } = query.questions[0]!;
        const asked = writeMessage({
          ...EMPTY,
          flags: FLAG.RECURSION_DESIRED,
          questions: [{ name: verdict.follow, type, class: IN }],
        });
        // Over TCP where need be: only whole it can be joined with ours.
        const followed = readMessage(Buffer.from(await askElsewhere(asked, { transport: "tcp", signal: ended.signal })));
        answer = joined(answer, followed);
      }
      return writeAnswer(query, answer, transport);
    } catch (error) {
      if (ended.signal.aborted) return undefined;
      logger.debug("a DNS query could not be answered", { name: query.questions[0]?.name, error: errorToJson(error) });
      return writeAnswer(query, { rcode: RCODE.SERVFAIL }, transport);
    }
  };

  const closer = createCloser();
  try {
    for (const address of addresses) {
      serveUdp(closer.use(await listeners.listenDatagrams({ address, port })).socket, (bytes) => respond(bytes, "udp"));
      const listener = closer.use(await listeners.listen({ address, port }));
      closer.use(serveTcp(listener.server, (bytes) => respond(bytes, "tcp")));
    }
  } catch (error) {
    await closer.close();
    throw error;
  }
  closer.defer(() => ended.abort());
  return { update, close: closer.close, [Symbol.asyncDispose]: closer.close };
}

const EMPTY: Message = { id: 0, flags: 0, questions: [], answers: [], authorities: [], additionals: [] };

/** To something that isn't a message, as far as it can be answered: not where it says that it is an answer. */
function formErr(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(2) & FLAG.RESPONSE) return undefined;
  return writeMessage({ ...EMPTY, id: bytes.readUInt16BE(0), flags: FLAG.RESPONSE | RCODE.FORMERR });
}

const invalid = (option: string, value: unknown, hint: string): Error =>
  rootlessError("ROOTLESS_INVALID_OPTION", `openResolver: \`${option}\` is ${JSON.stringify(value)}`, { hint });
