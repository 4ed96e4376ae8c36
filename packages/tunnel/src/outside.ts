import { isIP } from "node:net";
import type { ServicePort } from "@shipside/kube";
import type { ServiceView } from "./services.ts";

/**
 * Hosts that only the cluster can reach, under their own names. To the tunnel each is a service of no namespace that stands for a name, as an ExternalName service
 * does.
 */
export const OUTSIDE = "";

/** RFC 1123, at most 253 characters. */
const HOST = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

/** `host:port`, in lower case. Undefined where it is of another form, or the host is an address: that can't have another address. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const [, name = "", digits] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const host = name.toLowerCase();
  const port = Number(digits);
  return HOST.test(host) && isIP(host) === 0 && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** By key; the ports of one host together. `addresses`: those that have one in the cluster, by `host:port`. */
export function outsideViews(hosts: readonly string[], addresses: Readonly<Record<string, string>> = {}): Map<string, ServiceView> {
  const ports = new Map<string, ServicePort[]>();
  const clusterIPs = new Map<string, string>();
  for (const text of new Set(hosts)) {
    const { host, port } = parseHostPort(text)!;
    ports.set(host, [...(ports.get(host) ?? []), { port }]);
    if (addresses[text] !== undefined) clusterIPs.set(host, addresses[text]);
  }
  return new Map(
    [...ports].map(([host, its]) => [
      `${OUTSIDE}/${host}`,
      {
        service: {
          metadata: { namespace: OUTSIDE, name: host },
          spec: { type: "ExternalName", externalName: host, ports: its, ...clusterIP(clusterIPs.get(host)) },
        },
        slices: [],
      },
    ]),
  );
}

const clusterIP = (address: string | undefined): { clusterIP?: string } => (address === undefined ? {} : { clusterIP: address });
