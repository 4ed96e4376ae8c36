import { rootlessError } from "../errors.ts";

export interface PodDns {
  namespace: string;
  /** Default `ClusterFirst`, as the API's. */
  dnsPolicy?: "ClusterFirst" | "ClusterFirstWithHostNet" | "Default" | "None";
  /** Of the node's network: ClusterFirst means Default there. */
  hostNetwork?: boolean;
  dnsConfig?: {
    nameservers?: readonly string[];
    searches?: readonly string[];
    options?: readonly { name?: string; value?: string }[];
  };
}

/** What a resolv.conf says. */
export interface ResolvConf {
  nameservers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
}

export interface ResolvConfOptions {
  pod: PodDns;
  /** Where the cluster's names are answered. */
  nameservers: readonly string[];
  /** The cluster's domain. Default `cluster.local`. */
  zone?: string;
  /** What the machine's own says, as a pod has the node's. */
  machine?: Partial<ResolvConf>;
}

/** What kubelets allow (KEP-2595), and what the resolver of glibc reads. */
const MOST_NAMESERVERS = 3;
const MOST_SEARCHES = 32;
const LONGEST_SEARCHES = 2048;
const LONGEST_SEARCH = 253;

/** The resolv.conf of a pod by the kubelet's rules. `ROOTLESS_INVALID_OPTION` for policy None without a nameserver. */
export function podResolvConf({ pod, nameservers, zone = "cluster.local", machine = {} }: ResolvConfOptions): ResolvConf {
  const policy = pod.dnsPolicy ?? "ClusterFirst";
  const own = pod.dnsConfig ?? {};
  const base = ((): ResolvConf => {
    if (policy === "None") return { nameservers: [], searches: [], options: [] };
    const asMachine = policy === "Default" || (policy === "ClusterFirst" && pod.hostNetwork);
    if (asMachine) return { nameservers: [], searches: [], options: [], ...machine };
    const searches = [`${pod.namespace}.svc.${zone}`, `svc.${zone}`, zone, ...(machine.searches ?? [])];
    return { nameservers, searches, options: ["ndots:5"] };
  })();
  const all = distinct([...base.nameservers, ...(own.nameservers ?? [])]);
  if (all.length === 0 && policy === "None") {
    throw rootlessError("ROOTLESS_INVALID_OPTION", "a pod with dnsPolicy None has no nameserver in its dnsConfig", {
      hint: "give dnsConfig.nameservers at least one address, or leave the policy at ClusterFirst",
    });
  }
  return {
    nameservers: all.slice(0, MOST_NAMESERVERS),
    searches: fitting(distinct([...base.searches, ...(own.searches ?? [])])),
    options: mergedOptions(base.options, own.options ?? []),
  };
}

/** As text, in the order in which container runtimes write it. */
export function renderResolvConf({ searches, nameservers, options }: ResolvConf): string {
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** Reads one as resolv.conf(5) says: of several `search` or `domain` lines the last holds. Takes any text. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  const options: string[] = [];
  let searches: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === "nameserver" && values[0]) nameservers.push(values[0]);
    if (key === "options") options.push(...values);
    if (key === "search" || key === "domain") searches = values.map((value) => value.replace(/(?<=.)\.$/, ""));
  }
  return { nameservers, searches, options: distinct(options) };
}

/** Searches that are too many, too long, or together too long are left out, the last ones first. */
function fitting(searches: readonly string[]): string[] {
  const some = searches.slice(0, MOST_SEARCHES).filter((search) => search.length <= LONGEST_SEARCH);
  while (some.join(" ").length > LONGEST_SEARCHES) some.pop();
  return some;
}

/** The pod's own win over what the policy gives. */
function mergedOptions(base: readonly string[], own: readonly { name?: string; value?: string }[]): string[] {
  const merged = new Map<string, string>();
  for (const option of base) {
    const [, name = option, value = ""] = /^([^:]*):(.*)$/.exec(option) ?? [];
    merged.set(name, value);
  }
  for (const { name, value = "" } of own) if (name) merged.set(name, value);
  return [...merged].map(([name, value]) => (value === "" ? name : `${name}:${value}`));
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];
