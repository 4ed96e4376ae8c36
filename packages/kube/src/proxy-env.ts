import { BlockList, isIP } from "node:net";

/**
 * The proxy that the environment names for a server, where the kubeconfig names none; as kubectl does it (Go's `httpproxy`):
 * `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, not for this machine itself nor for what `NO_PROXY` lists (`*`, names with their
 * subdomains, addresses, CIDR ranges, each with a port if it likes). Lower case wins over upper.
 */
export function proxyFromEnv(server: URL, env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const read = (name: string): string => env[name.toLowerCase()] || env[name] || "";
  const proxy = read(server.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY");
  if (proxy === "") return undefined;
  const host = server.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  if (isLoopback(host)) return undefined;
  const excluded = read("NO_PROXY")
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && covers(entry, host, port));
  if (excluded) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  if (entry.includes("/")) return inRange(entry, host);
  const [, name = entry, only] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry) ?? [];
  if (only !== undefined && only !== port) return false;
  const wanted = name.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
  if (isIP(wanted) || isIP(host)) return wanted === host;
  // ".example.com" means the subdomains only, "example.com" the name itself too.
  return host.endsWith(`.${wanted}`) || (host === wanted && !/^\*?\./.test(name));
}

function inRange(range: string, host: string): boolean {
  const family = isIP(host);
  const [network = "", prefix = ""] = range.split("/");
  if (family === 0 || isIP(network) !== family || !/^\d+$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family === 4 ? "ipv4" : "ipv6");
  return list.check(host, family === 4 ? "ipv4" : "ipv6");
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || host === "::1" || /^127\./.test(host);
