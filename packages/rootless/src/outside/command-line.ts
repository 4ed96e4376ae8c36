import { BlockList, isIP, isIPv6 } from "node:net";
import { rootlessError } from "../errors.ts";
import type { Program, ProgramName } from "./program.ts";

/** How each program is asked to carry a namespace's traffic out, and nothing of this machine's localhost in. Pure. */

export interface Place {
  /** A process in the network namespace and in the user namespace that owns it. */
  pid: number;
  /** Who asks: as root, pasta would become somebody else, who may not enter. */
  uid: number;
  gid: number;
  /** Whether this machine has a way out by IPv6. */
  ipv6: boolean;
  clusterAddresses: readonly string[];
}

/**
 * pasta(1): the namespace has this machine's own address and routes. No port is forwarded either way (by default all are), and the address
 * of the gateway is the gateway's, not this machine's localhost.
 */
export function pastaLine(program: Program, { pid, uid, gid }: Place): string[] {
  const has = optionsIn("pasta", program, ["--config-net", "--no-map-gw"]);
  return [
    program.path,
    "--foreground",
    "--quiet",
    "--config-net",
    "--no-map-gw",
    ...["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"].flatMap((option) => [option, "none"]),
    // Addresses are set once, before anything runs: nobody inside asks for one.
    ...["--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"].filter(has),
    ...(uid === 0 ? ["--runas", `${uid}:${gid}`] : []),
    String(pid),
  ];
}

/** slirp4netns(1): the namespace has a network of its own, from which this machine's localhost is out of reach. */
export function slirpLine(program: Program, { pid, ipv6, clusterAddresses }: Place): string[] {
  const has = optionsIn("slirp4netns", program, ["--disable-host-loopback", "--userns-path"]);
  const network = freeNetwork(clusterAddresses);
  return [
    program.path,
    "--configure",
    "--mtu=65520",
    "--disable-host-loopback",
    ...(network === NETWORKS[0] ? [] : [`--cidr=${network}`]),
    ...["--disable-dns", "--enable-seccomp"].filter(has),
    ...(ipv6 && has("--enable-ipv6") ? ["--enable-ipv6"] : []),
    `--userns-path=/proc/${pid}/ns/user`,
    "--netns-type=path",
    `/proc/${pid}/ns/net`,
    "tap0",
  ];
}

/** slirp4netns's own first. */
const NETWORKS = ["10.0.2.0/24", "172.31.250.0/24", "192.168.250.0/24", "198.18.250.0/24"] as const;

/** One without an address of the cluster's: an address that comes later stays in front all the same, being the namespace's own. */
export function freeNetwork(addresses: readonly string[]): string {
  const free = NETWORKS.find((network) => {
    const block = new BlockList();
    block.addSubnet(network.replace(/\/.*/, ""), 24, "ipv4");
    return !addresses.some((address) => isIP(address) !== 0 && !isIPv6(address) && block.check(address, "ipv4"));
  });
  return free ?? NETWORKS[0];
}

function optionsIn(name: ProgramName, { path, help }: Program, needed: readonly string[]): (option: string) => boolean {
  const has = (option: string): boolean => new RegExp(`${option}(?![\\w-])`).test(help);
  const missing = needed.filter((option) => !has(option));
  if (missing.length === 0) return has;
  throw rootlessError("ROOTLESS_OUTSIDE_FAILED", `${path} has no ${missing.join(" and no ")}, without which ${name} is not used`, {
    hint: `install a newer version of ${name}`,
  });
}
