import type { Json } from "../../json.ts";
import { ageColumn, type Column, labelsText, NONE, nameColumn, selectorCell } from "./cells.ts";

const joined = (items: readonly string[]): string => items.join(",") || NONE;

function externalIP({ spec, status }: Json): string {
  if (spec.type === "ExternalName") return spec.externalName;
  const ingress = (status?.loadBalancer?.ingress ?? []).map((entry: Json) => entry.ip || entry.hostname);
  if (spec.type !== "LoadBalancer") return joined(spec.externalIPs ?? []);
  return [...ingress, ...(spec.externalIPs ?? [])].join(",") || "<pending>";
}

const servicePorts = ({ spec }: Json): string =>
  joined(
    ((spec.ports ?? []) as Json[]).map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ""}/${protocol}`),
  );

/** At most three, and how many more there are. */
function first(items: readonly string[], more: string): string {
  if (items.length === 0) return NONE;
  return items.length <= 3 ? items.join(",") : `${items.slice(0, 3).join(",")} + ${items.length - 3} ${more}`;
}

const endpointAddresses = ({ subsets = [] }: Json): string[] =>
  (subsets as Json[]).flatMap((subset) =>
    subset.ports?.length
      ? subset.ports.flatMap((port: Json) =>
          (subset.addresses ?? []).map(({ ip }: Json) => `${ip.includes(":") ? `[${ip}]` : ip}:${port.port}`),
        )
      : (subset.addresses ?? []).map(({ ip }: Json) => ip),
  );

const slicePorts = ({ ports }: Json): string => {
  if (!ports?.length) return "<unset>";
  return first(
    (ports as Json[]).map(({ port, name }) => (port ? String(port) : name || "*")),
    "more...",
  );
};

const ingressPorts = ({ spec }: Json): string => (spec.tls?.length ? "80, 443" : "80");

export const NETWORK_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  services: [
    nameColumn,
    { name: "Type", value: ({ spec }) => spec.type },
    { name: "Cluster-IP", value: ({ spec }) => spec.clusterIP || NONE },
    { name: "External-IP", value: externalIP },
    { name: "Port(s)", value: servicePorts },
    ageColumn,
    { name: "Selector", wide: true, value: ({ spec }) => labelsText(spec.selector) },
  ],
  endpoints: [nameColumn, { name: "Endpoints", value: (object) => first(endpointAddresses(object), "more...") }, ageColumn],
  "endpointslices.discovery.k8s.io": [
    nameColumn,
    { name: "AddressType", value: ({ addressType }) => addressType },
    { name: "Ports", value: slicePorts },
    {
      name: "Endpoints",
      value({ endpoints }) {
        const addresses = ((endpoints ?? []) as Json[]).flatMap((endpoint) => endpoint.addresses);
        return addresses.length === 0 ? "<unset>" : first(addresses, "more...");
      },
    },
    ageColumn,
  ],
  "ingresses.networking.k8s.io": [
    nameColumn,
    { name: "Class", value: ({ spec }) => spec.ingressClassName ?? NONE },
    {
      name: "Hosts",
      value: ({ spec }) =>
        first(((spec.rules ?? []) as Json[]).map(({ host }) => host).filter(Boolean), "more...").replace(NONE, "*"),
    },
    {
      name: "Address",
      value: ({ status }) => ((status?.loadBalancer?.ingress ?? []) as Json[]).map(({ ip, hostname }) => ip || hostname).join(","),
    },
    { name: "Ports", value: ingressPorts },
    ageColumn,
  ],
  "ingressclasses.networking.k8s.io": [
    nameColumn,
    { name: "Controller", value: ({ spec }) => spec.controller },
    {
      name: "Parameters",
      value: ({ spec }) =>
        spec.parameters
          ? `${[spec.parameters.kind, spec.parameters.apiGroup].filter(Boolean).join(".")}/${spec.parameters.name}`
          : NONE,
    },
    ageColumn,
  ],
  "networkpolicies.networking.k8s.io": [
    nameColumn,
    { name: "Pod-Selector", value: ({ spec }) => selectorCell(spec.podSelector) },
    ageColumn,
  ],
};
