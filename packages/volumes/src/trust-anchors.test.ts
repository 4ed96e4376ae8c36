import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { trustAnchors } from "./trust-anchors.ts";

/** As openssl prints it. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBNDCB56ADAgECAhRZ9ftc2EqNzWlxttYYkVVRWQk7GjAFBgMrZXAwDzENMAsG
A1UEAwwEcm9vdDAgFw0yNjExMjMxNDUzMjRaGA8yMTI2MTAzMDE0NTMyNFowDzEN
MAsGA1UEAwwEcm9vdDAqMAUGAytlcAMhAI6FvbgadVAnjaL/EGhfL7IIwsZ0UMGY
lBfgEueBbxD+o1MwUTAdBgNVHQ4EFgQU4elkBYPhGYOMJa27tY8GxxMdawIwHwYD
VR0jBBgwFoAU4elkBYPhGYOMJa27tY8GxxMdawIwDwYDVR0TAQH/BAUwAwEB/zAF
BgMrZXADQQA39FySVNPKmqvcTCtIopM4Ueh4sF+VLqI5Kk3bEhbQAtgc+u5zneFR
HmAi2gZyRHBb7EChZVjvkwrG3pgrDXgM
-----END CERTIFICATE-----
`;
const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;

test("a certificate stays what it is, without what stands around it", () => {
  const text = trustAnchors([`# of the year 2026\n${CERTIFICATE}\nSubject: nobody\r\n`]);
  expect(text).toBe(CERTIFICATE);
  expect(new X509Certificate(text).subject).toBe("CN=root");
});

test("each is there once, in an order that is not that of the bundles", () => {
  const ders = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 6 });
  fc.assert(
    fc.property(ders, fc.nat({ max: 6 }), (all, at) => {
      const text = trustAnchors(all.map(pem));
      expect(trustAnchors([...all.slice(at), ...all.slice(0, at)].map(pem).concat(text))).toBe(text);
      const distinct = new Set(all.map((der) => Buffer.from(der).toString("hex")));
      expect(text.split("BEGIN").length - 1).toBe(distinct.size);
      for (const der of all) expect(text).toContain(pem(der));
    }),
  );
});
