import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { Logger } from "@shipside/core";
import { relayError } from "../errors.ts";

/** What a Secret of type `kubernetes.io/tls` holds. */
export interface TlsPair {
  cert: Buffer;
  key: Buffer;
  /** Whom the pods' certificates may be signed by, where the Secret says it (`ca.crt`). */
  ca: Buffer | undefined;
  leaf: X509Certificate;
  /** This certificate and those before it: pods may show one for a while after it was replaced. */
  known: readonly X509Certificate[];
}

/** A Secret's certificate and key, current where the kubelet keeps its files so. */
export interface TlsSecret {
  /** Throws `RELAY_TLS_SECRET` where there has not been a usable one yet. What is spoiled later is said, and the last good one stays. */
  current(): TlsPair;
}

const KNOWN = 4;
/** How often it is looked whether the kubelet has brought others, in ms. */
const LOOK_MS = 1_000;

export function tlsSecret({ secret, directory }: { secret: string; directory: string }, logger: Logger): TlsSecret {
  let pair: TlsPair | undefined;
  let seen = "";
  let lookedAt = Number.NEGATIVE_INFINITY;
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  // The kubelet writes a new directory and moves a link there: other files, by their numbers.
  const stamp = (): string =>
    ["tls.crt", "tls.key", "ca.crt"]
      .map((name) => {
        const found = statSync(join(directory, name), { throwIfNoEntry: false });
        return found ? `${found.ino}.${found.mtimeMs}` : "";
      })
      .join(" ");

  const load = (): TlsPair => {
    const refuse = (why: string, cause?: unknown): Error =>
      relayError("RELAY_TLS_SECRET", `the Secret ${secret} ${why}`, {
        hint: "it must be in the Service's namespace and of type kubernetes.io/tls: `kubectl create secret tls NAME --cert=… --key=…` makes one",
        cause,
      });
    let cert: Buffer;
    let key: Buffer;
    try {
      cert = read("tls.crt");
      key = read("tls.key");
    } catch (cause) {
      throw refuse("isn't there, or has no tls.crt and tls.key", cause);
    }
    try {
      createSecureContext({ cert, key });
      const leaf = new X509Certificate(cert);
      const ca = statSync(join(directory, "ca.crt"), { throwIfNoEntry: false }) && read("ca.crt");
      return { cert, key, ca, leaf, known: [leaf, ...(pair?.known ?? [])].slice(0, KNOWN) };
    } catch (cause) {
      throw refuse(`holds no certificate with its key: ${(cause as Error).message}`, cause);
    }
  };

  return {
    current() {
      if (pair && performance.now() - lookedAt < LOOK_MS) return pair;
      lookedAt = performance.now();
      const now = stamp();
      if (pair && now === seen) return pair;
      try {
        pair = load();
        logger.info("a certificate for TLS was read", { secret, validTo: pair.leaf.validTo });
      } catch (error) {
        if (!pair) throw error;
        logger.warn("a new certificate for TLS can't be used, the last one stays", { secret, error: (error as Error).message });
      }
      seen = now;
      return pair;
    },
  };
}
