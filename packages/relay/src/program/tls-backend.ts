import type { Socket } from "node:net";
import { checkServerIdentity, connect, rootCertificates, type TLSSocket } from "node:tls";
import { abortError, codeOf } from "@shipside/core";
import { relayError } from "../errors.ts";
import type { TlsPair } from "./tls-secret.ts";

/** How TLS begins anew to the pods, for a connection whose TLS ended here. */
export interface SecureBackend {
  /** As the client asked for them, or the Service's own: the first is asked for, and any may stand in the certificate. */
  names: readonly string[];
  /** What is spoken inside, as agreed with the client; none where it named none. */
  protocol: string | undefined;
  pair(): TlsPair;
}

const HANDSHAKE_MS = 5_000;

/**
 * TLS over a connection to a pod. The pod is trusted where it shows the Secret's own certificate (or one before it), or one for any of `names` that is signed
 * by the Secret's `ca.crt` or an authority that Node knows. Rejects with `RELAY_TLS_PODS` (cause: what TLS says).
 */
export function secured(socket: Socket, { names, protocol, pair }: SecureBackend, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { ca, known } = pair();
    const tls = connect({
      socket,
      servername: names[0]!,
      ...(protocol !== undefined && { ALPNProtocols: [protocol] }),
      ca: [...rootCertificates, ...(ca ? [ca] : [])],
      // Looked at below: the Secret's own needs no authority.
      rejectUnauthorized: false,
      checkServerIdentity: (_name, certificate) => {
        const errors = names.map((name) => checkServerIdentity(name, certificate));
        return errors.includes(undefined) ? undefined : errors[0];
      },
    });
    tls.on("error", () => {});
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      tls.off("error", refuse);
      tls.off("close", onClose);
    };
    const fail = (error: Error): void => {
      settle();
      tls.destroy();
      socket.destroy();
      reject(error);
    };
    const refuse = (cause: Error): void =>
      fail(
        relayError("RELAY_TLS_PODS", `the pods of ${names[0]} can't be spoken to by TLS: ${cause.message}`, {
          hint: "the Secret needs a ca.crt that signs their certificates, or the very certificate that they show; without --tls-secret TLS is passed on as it is",
          details: { why: codeOf(cause) },
          cause,
        }),
      );
    const onClose = (): void => refuse(new Error("the connection was closed while TLS began"));
    const onAbort = (): void => fail(abortError(signal));
    const timer = setTimeout(() => refuse(new Error(`no TLS within ${HANDSHAKE_MS / 1000} s`)), HANDSHAKE_MS);
    signal.addEventListener("abort", onAbort, { once: true });
    tls.on("error", refuse);
    tls.on("close", onClose);
    tls.once("secureConnect", () => {
      const shown = tls.getPeerX509Certificate();
      if (!tls.authorized && !known.some(({ raw }) => shown?.raw.equals(raw))) {
        refuse(tls.authorizationError instanceof Error ? tls.authorizationError : new Error(String(tls.authorizationError)));
      } else {
        settle();
        resolve(tls);
      }
    });
    if (signal.aborted) onAbort();
  });
}
