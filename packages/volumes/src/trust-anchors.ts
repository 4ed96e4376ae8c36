const BLOCK = /-----BEGIN ([^\n]+?)-----\s*\n([\s\S]*?)-----END \1-----/g;
/** RFC 7468: of each line but the last. */
const LINE = /.{1,64}/g;

/**
 * The certificates of trust bundles as the kubelet makes one file of them (KEP-3257): each once, and nothing of what stands between them. It
 * leaves the order to chance; here it is that of their bytes, so that the file changes only when they do. Pure.
 */
export function trustAnchors(bundles: readonly string[]): string {
  const certificates = bundles.flatMap((pem) => [...pem.matchAll(BLOCK)].map(([, , base64 = ""]) => Buffer.from(base64, "base64")));
  const sorted = certificates.sort(Buffer.compare);
  const distinct = sorted.filter((each, index) => index === 0 || !each.equals(sorted[index - 1]!));
  return distinct.map(block).join("");
}

const block = (der: Buffer): string =>
  ["-----BEGIN CERTIFICATE-----", ...(der.toString("base64").match(LINE) ?? []), "-----END CERTIFICATE-----", ""].join("\n");
