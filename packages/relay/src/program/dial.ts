import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { codeOf, datagramReader, encodeDatagram, splice } from "@shipside/core";
import { type RelayErrorCode, relayError } from "../errors.ts";
import { authorityOf, parseAuthority } from "../wire/authority.ts";
import { acceptConnect, refuseConnect } from "../wire/connect.ts";
import type { Asked } from "../wire/mux.ts";

/** How long a connection inside the cluster may take to stand, in ms. */
const CONNECT_MS = 10_000;

/** Answers what a developer asks for with a connection from this pod. */
export function answerDial(asked: Asked, { authority, protocol }: { authority: string; protocol: "tcp" | "udp" }): void {
  const to = parseAuthority(authority);
  if (!to) refuseConnect(asked, relayError("DIAL_FAILED", `${JSON.stringify(authority)} is no host and port`));
  else if (protocol === "udp") void dialUdp(asked, to);
  else dialTcp(asked, to);
}

function dialTcp(asked: Asked, { host, port }: { host: string; port: number }): void {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  const timer = setTimeout(() => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })), CONNECT_MS);
  const onGone = (): void => void socket.destroy();
  asked.stream.once("close", onGone);
  const onError = (error: Error): void => {
    clearTimeout(timer);
    refuseConnect(asked, dialError(authorityOf(host, port), error));
  };
  socket.on("error", onError);
  socket.once("connect", () => {
    clearTimeout(timer);
    socket.off("error", onError);
    asked.stream.off("close", onGone);
    void splice(acceptConnect(asked), socket);
  });
}

async function dialUdp(asked: Asked, { host, port }: { host: string; port: number }): Promise<void> {
  let family: number;
  let address: string;
  try {
    ({ address, family } = isIP(host) ? { address: host, family: isIP(host) } : await lookup(host));
  } catch (error) {
    return refuseConnect(asked, dialError(authorityOf(host, port), error));
  }
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  socket.on("error", (error) => {
    refuseConnect(asked, dialError(authorityOf(host, port), error));
    duplex?.destroy();
    if (!duplex) socket.close();
  });
  let duplex: ReturnType<typeof acceptConnect> | undefined;
  socket.connect(port, address, () => {
    const datagrams = acceptConnect(asked);
    duplex = datagrams;
    const read = datagramReader();
    datagrams.on("error", () => {});
    datagrams.on("data", (chunk: Buffer) => {
      for (const datagram of read(chunk)) socket.send(datagram);
    });
    datagrams.on("end", () => datagrams.end());
    datagrams.on("close", () => socket.close());
    // A reader that is behind loses datagrams, as one of a socket does.
    socket.on("message", (datagram) => {
      if (!datagrams.writableNeedDrain && datagrams.writable) datagrams.write(encodeDatagram(datagram));
    });
  });
}

function dialError(authority: string, cause: unknown): Error {
  // With several addresses Node tries all, and tells what each answered.
  const causes: unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
  const codes = causes.map(codeOf);
  const code: RelayErrorCode = codes.includes("ECONNREFUSED")
    ? "DIAL_REFUSED"
    : codes.some((each) => each === "ENOTFOUND" || each === "EHOSTUNREACH")
      ? "DIAL_GONE"
      : "DIAL_FAILED";
  return relayError(code, `${authority}: ${(causes[0] as Error).message}`, { cause });
}
