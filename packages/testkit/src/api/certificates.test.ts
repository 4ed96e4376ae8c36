import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { createAuthority } from "./certificates.ts";

test("certificates are what the authority says, and TLS takes them both ways", async () => {
  const ca = createAuthority("shipside-ca");
  const server = ca.issue({ commonName: "kube-apiserver", hosts: ["localhost", "kubernetes.default.svc", "127.0.0.1", "::1"] });
  const client = ca.issue({ commonName: "jane", organizations: ["dev", "ops"] });
  const parsed = new X509Certificate(server.cert);
  expect(parsed.verify(new X509Certificate(ca.cert).publicKey)).toBe(true);
  expect(parsed.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(parsed.subjectAltName).toContain("DNS:kubernetes.default.svc");
  expect(new X509Certificate(ca.cert).ca).toBe(true);

  const tls = createServer({ ...server, ca: ca.cert, requestCert: true }).listen(0, "127.0.0.1");
  await once(tls, "listening");
  const accepted = once(tls, "secureConnection");
  const socket = connect({ port: (tls.address() as { port: number }).port, host: "127.0.0.1", ca: ca.cert, ...client });
  await once(socket, "secureConnect");
  const [seen] = (await accepted) as [TLSSocket];
  expect(seen.authorized).toBe(true);
  expect(seen.getPeerCertificate().subject).toMatchObject({ CN: "jane", O: ["dev", "ops"] });
  socket.destroy();
  tls.close();
});

test("a certificate that is over is refused as expired", () => {
  const over = createAuthority("ca").issue({ commonName: "x", notAfter: new Date(Date.now() - 1000) });
  expect(new X509Certificate(over.cert).validToDate.getTime()).toBeLessThan(Date.now());
});
