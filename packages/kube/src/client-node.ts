/**
 * The only door to @kubernetes/client-node, opened when a connection is made. Its configuration module alone is asked for: that
 * leaves out the streaming half, and a release carries a copy of it without the generated API, which loads in a tenth of the time and
 * with 49 MiB less (scripts/vendor.ts). It is not part of the package's promised surface, so the main entry is the fallback.
 */
export async function loadKubeConfig(): Promise<typeof import("@kubernetes/client-node").KubeConfig> {
  const module = await import("@kubernetes/client-node/dist/config.js").catch(() => import("@kubernetes/client-node"));
  return module.KubeConfig;
}
