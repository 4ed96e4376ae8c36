import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { connect, isIP, isIPv6, type Socket } from "node:net";
import { abortError, datagramReader, encodeDatagram } from "@shipside/core";
import { rootlessError } from "../errors.ts";
import type { Exchange, ExchangeOptions } from "./exchange.ts";
import { FLAG, RCODE } from "./message.ts";
import { parseResolvConf } from "./resolv-conf.ts";

export interface MachineServersOptions {
  /** `ADDRESS` or `ADDRESS:PORT`, an IPv6 address in brackets before a port. Default: read from the file for each query. */
  servers?: readonly string[];
  /** Default `/etc/resolv.conf`. It changes with the network, so nothing of it is kept. */
  file?: string;
  /** How long one server may take, in ms. Default 2,000. */
  timeoutMs?: number;
  /** How often all of them are asked. Default 2. */
  attempts?: number;
}

interface Server {
  address: string;
  port: number;
}

/**
 * Asks this machine's DNS servers, in their order: the next one where one doesn't answer in time, refuses, or fails. The exchange rejects
 * with `ROOTLESS_DNS_UNANSWERED`. Nothing is cached: the machine's own servers do that, and know when names change.
 */
export function machineServers(options: MachineServersOptions = {}): Exchange {
  const { servers, file = "/etc/resolv.conf", timeoutMs = 2_000, attempts = 2 } = options;
  const fixed = servers?.map(parseServer);
  return async (query, { transport, signal }) => {
    const asked = fixed ?? (await serversIn(file));
    const failures: unknown[] = [];
    let poor: Buffer | undefined;
    for (let attempt = 0; attempt < attempts; attempt++) {
      for (const server of asked) {
        const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        try {
          const answer = await ask(Buffer.from(query), server, { transport, signal: inTime });
          const rcode = answer.readUInt16BE(2) & 15;
          if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) return answer;
          poor ??= answer;
        } catch (error) {
          if (signal.aborted) throw abortError(signal);
          failures.push(error);
        }
      }
      // What all of them refuse or fail at won't be better a moment later.
      if (poor) return poor;
    }
    const names = asked.map(({ address, port }) => (port === 53 ? address : `${address} port ${port}`)).join(", ");
    throw rootlessError("ROOTLESS_DNS_UNANSWERED", `none of this machine's DNS servers (${names || "there are none"}) answered`, {
      hint: `see whether this machine itself resolves names; its servers are those that ${file} lists`,
      cause: new AggregateError(failures, "every server failed"),
    });
  };
}

/** Over UDP; where the answer was too long for that and the client came by TCP, once more over TCP. */
async function ask(query: Buffer, server: Server, options: ExchangeOptions): Promise<Buffer> {
  // Not the client's: who can't see the query shall not guess its answer (RFC 5452).
  const id = randomInt(0x10000);
  const sent = Buffer.from(query);
  sent.writeUInt16BE(id, 0);
  let answer = await overUdp(sent, server, options.signal);
  if (options.transport === "tcp" && answer.readUInt16BE(2) & FLAG.TRUNCATED) answer = await overTcp(sent, server, options.signal);
  query.copy(answer, 0, 0, 2);
  return answer;
}

function overUdp(query: Buffer, { address, port }: Server, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    const end = (settle: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners("message");
      socket.close();
      settle();
    };
    let ended = false;
    const once = (settle: () => void): void => {
      if (!ended) end(settle);
      ended = true;
    };
    const onAbort = (): void => once(() => reject(abortError(signal)));
    socket.on("error", (error) => once(() => reject(error)));
    socket.on("message", (message) => {
      if (answers(message, query)) once(() => resolve(message));
    });
    // Connected, so that only the server's datagrams come in, and a refusal is heard of.
    socket.on("connect", () => socket.send(query));
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    else socket.connect(port, address);
  });
}

function overTcp(query: Buffer, { address, port }: Server, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: address, port });
    const onAbort = (): void => void socket.destroy(abortError(signal));
    const read = datagramReader();
    socket.on("error", reject);
    socket.on("close", () => {
      signal.removeEventListener("abort", onAbort);
      reject(rootlessError("ROOTLESS_DNS_UNANSWERED", `the DNS server ${address} closed the connection without an answer`));
    });
    socket.on("data", (chunk) => {
      const message = read(chunk).find((one) => answers(one, query));
      if (!message) return;
      resolve(Buffer.from(message));
      socket.destroy();
    });
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    socket.write(encodeDatagram(query));
  });
}

/** The same number, and the same question as far as it is repeated: case and all, since servers copy it. */
function answers(message: Buffer, query: Buffer): boolean {
  if (message.length < 12 || message.readUInt16BE(0) !== query.readUInt16BE(0) || !(message.readUInt16BE(2) & FLAG.RESPONSE))
    return false;
  if (message.readUInt16BE(4) === 0) return true;
  let end = 12;
  while (end < query.length && query[end] !== 0) end += query[end]! + 1;
  const question = query.subarray(12, end + 5);
  return message.subarray(12, end + 5).equals(question);
}

async function serversIn(file: string): Promise<Server[]> {
  try {
    const { nameservers } = parseResolvConf(await readFile(file, "utf8"));
    return nameservers.map(parseServer);
  } catch (cause) {
    throw rootlessError("ROOTLESS_DNS_UNANSWERED", `can't read this machine's DNS servers from ${file}`, { cause });
  }
}

function parseServer(text: string): Server {
  const [, bracketed, plain, port = "53"] = /^(?:\[(.+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  if (isIP(address) === 0 || Number(port) < 1 || Number(port) > 65_535) {
    throw rootlessError("ROOTLESS_INVALID_OPTION", `${JSON.stringify(text)} is not the address of a DNS server`, {
      hint: "write 192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353",
    });
  }
  return { address, port: Number(port) };
}
