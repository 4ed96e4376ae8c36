import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";
import { bits, boolean, context, integer, octets, oid, sequence, set, time, utf8 } from "./der.ts";

export interface KeyPair {
  /** PEM */
  cert: string;
  /** PEM, PKCS #8 */
  key: string;
}

export interface Authority extends KeyPair {
  issue(subject: Subject): KeyPair;
}

export interface Subject {
  commonName: string;
  /** For a client they are the user's groups. */
  organizations?: readonly string[];
  /** Makes it a server's certificate; without it is a client's. */
  hosts?: readonly string[];
  /** Default ten years. A past one gives an expired certificate. */
  notAfter?: Date;
}

const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const TEN_YEARS = 10 * 365 * 86_400_000;

const name = (subject: Pick<Subject, "commonName" | "organizations">): Buffer =>
  sequence(
    ...(subject.organizations ?? []).map((organization) => set(sequence(oid("2.5.4.10"), utf8(organization)))),
    set(sequence(oid("2.5.4.3"), utf8(subject.commonName))),
  );

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));

const addressBytes = (host: string): Buffer | undefined => {
  if (isIPv4(host)) return Buffer.from(host.split(".").map(Number));
  if (host === "::1") return Buffer.from([...Array(15).fill(0), 1]);
  return undefined;
};

const pem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString("base64").replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;

const keyId = (spki: Buffer): Buffer => createHash("sha1").update(spki).digest();

/** RFC 5280 certificates with P-256 keys: small, and made in about a millisecond. */
export function createAuthority(commonName: string): Authority {
  const caKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = name({ commonName });
  const caSpki = caKeys.publicKey.export({ type: "spki", format: "der" });

  const certificate = (subject: Buffer, spki: Buffer, notAfter: Date, extensions: Buffer[]): string => {
    const serial = randomBytes(16);
    serial[0]! &= 0x7f;
    const notBefore = new Date(Math.min(Date.now() - 3_600_000, notAfter.getTime() - 3_600_000));
    const body = sequence(
      context(0, integer(Buffer.from([2])), true),
      integer(serial),
      ECDSA_SHA256,
      issuer,
      sequence(time(notBefore), time(notAfter)),
      subject,
      spki,
      context(3, sequence(...extensions), true),
    );
    return pem("CERTIFICATE", sequence(body, ECDSA_SHA256, bits(sign("sha256", body, caKeys.privateKey))));
  };

  const exported = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
  const authorityKey = extension("2.5.29.35", false, sequence(context(0, keyId(caSpki), false)));

  return {
    key: exported(caKeys.privateKey),
    cert: certificate(issuer, caSpki, new Date(Date.now() + TEN_YEARS), [
      extension("2.5.29.19", true, sequence(boolean(true))),
      // keyCertSign, cRLSign, digitalSignature
      extension("2.5.29.15", true, bits(Buffer.from([0x86]), 1)),
      extension("2.5.29.14", false, octets(keyId(caSpki))),
    ]),
    issue(subject) {
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const spki = keys.publicKey.export({ type: "spki", format: "der" });
      const usage = subject.hosts ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
      const names = (subject.hosts ?? []).map((host) => {
        const address = addressBytes(host);
        return address ? context(7, address, false) : context(2, Buffer.from(host), false);
      });
      return {
        key: exported(keys.privateKey),
        cert: certificate(name(subject), spki, subject.notAfter ?? new Date(Date.now() + TEN_YEARS), [
          extension("2.5.29.19", true, sequence()),
          extension("2.5.29.15", true, bits(Buffer.from([0x80]), 7)),
          extension("2.5.29.37", false, sequence(oid(usage))),
          authorityKey,
          ...(names.length > 0 ? [extension("2.5.29.17", false, sequence(...names))] : []),
        ]),
      };
    },
  };
}
