/** The cluster's names and this namespace's own addresses, which a proxy outside couldn't reach. */
const ALWAYS = ["localhost", "127.0.0.1", "::1", ".local", ".svc"];

/**
 * What makes programs use a proxy: both spellings, since each has programs that read it alone, and Node's own switch (from 24). Names
 * without a dot need to be listed one by one: no program knows a way to say "all of them".
 */
export function proxyEnv(url: string, noProxy: readonly string[]): Record<string, string> {
  const not = [...new Set([...ALWAYS, ...noProxy])].join(",");
  return {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    http_proxy: url,
    https_proxy: url,
    NO_PROXY: not,
    no_proxy: not,
    NODE_USE_ENV_PROXY: "1",
  };
}
