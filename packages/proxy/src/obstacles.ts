import type { Service } from "@shipside/kube";
import { RESERVED_PORTS } from "@shipside/relay";
import { injection, mesh } from "./mesh.ts";
import { networkPolicy } from "./network-policies.ts";
import { type Obstacle, type Rule, refuse, type Surroundings } from "./obstacle.ts";
import { keepsClients, numbersOf } from "./ports.ts";
import { limitRange, quota } from "./room.ts";

type FullService = Service & {
  spec: { internalTrafficPolicy?: "Cluster" | "Local"; externalTrafficPolicy?: "Cluster" | "Local" };
};

const ending: Rule = ({ service: { metadata } }) =>
  metadata.deletionTimestamp === undefined ? undefined : refuse("ending", "it is being deleted");

const externalName: Rule = ({ service: { spec } }) =>
  spec.type !== "ExternalName"
    ? undefined
    : refuse(
        "external-name",
        `it is a DNS alias of ${spec.externalName} (ExternalName): no traffic passes through it`,
        "intercept the Service that it leads to",
      );

const noSelector: Rule = ({ service: { spec } }) =>
  spec.type === "ExternalName" || Object.keys(spec.selector ?? {}).length > 0
    ? undefined
    : refuse(
        "no-selector",
        "it has no selector: somebody else writes its endpoints, and there is nothing to switch",
        "`shipside expose` makes a Service of its own",
      );

const noPorts: Rule = ({ service: { spec } }) =>
  spec.type === "ExternalName" || (spec.ports?.length ?? 0) > 0 ? undefined : refuse("no-ports", "it has no ports");

const headless: Rule = ({ service, pods }) => {
  if (service.spec.clusterIP !== "None") return undefined;
  const named = pods.find(({ spec }) => spec.subdomain === service.metadata.name && spec.hostname !== undefined);
  if (named)
    return refuse(
      "headless-pods",
      `it gives pods names of their own (${named.spec.hostname}.${service.metadata.name}), which would vanish while it is intercepted`,
      "intercept the Service with a ClusterIP that leads to the same pods, where there is one",
    );
  return {
    what: "headless",
    refused: false,
    sentence: "it is headless: a client that holds a pod's address comes through the intercept when it asks DNS again",
  };
};

const sctp: Rule = ({ service: { spec } }) => {
  const port = spec.ports?.find(({ protocol }) => protocol === "SCTP");
  return port && refuse("sctp", `its port ${port.port} is SCTP, which the relay can't carry`);
};

const reservedPort: Rule = ({ service: { spec } }) => {
  const port = spec.ports?.find(({ port: number, targetPort }) => RESERVED_PORTS.includes(Number(targetPort ?? number)));
  return (
    port &&
    refuse(
      "reserved-port",
      `its target port ${port.targetPort ?? port.port} is one that the relay needs for itself`,
      `target ports other than ${RESERVED_PORTS.join(" and ")} work`,
    )
  );
};

const internalLocal: Rule = ({ service }) =>
  (service as FullService).spec.internalTrafficPolicy !== "Local"
    ? undefined
    : refuse(
        "internal-local",
        "its internalTrafficPolicy is Local: callers on nodes without a relay's pod would reach nothing",
        "intercept it where it is Cluster, for instance in a test environment",
      );

const externalLocal: Rule = ({ service }) =>
  (service as FullService).spec.externalTrafficPolicy !== "Local"
    ? undefined
    : refuse(
        "external-local",
        "its externalTrafficPolicy is Local: traffic from outside to nodes without a relay's pod would be lost",
        "intercept the Service behind it, or make a second one with a ClusterIP for the same pods",
      );

const sessionAffinity: Rule = ({ service, pods }) => {
  if (!keepsClients(service)) return undefined;
  for (const { targetPort } of service.spec.ports ?? []) {
    if (typeof targetPort !== "string") continue;
    const numbers = numbersOf(targetPort, pods);
    if (numbers.length === 1) continue;
    const known =
      numbers.length === 0 ? "no pod says which number" : `its pods have several numbers (${numbers.join(", ")}) for what`;
    return refuse(
      "session-affinity",
      `its sessionAffinity is ClientIP, for which the relay must know its pods' port, and ${known} ${targetPort} is`,
      "intercept it when its pods are there and agree, or where the target port is a number",
    );
  }
  return {
    what: "session-affinity",
    refused: false,
    sentence:
      "its sessionAffinity is ClientIP: the relay keeps each client at one pod, by its address; which one may change now, when pods come or go, and at the end",
  };
};

const RULES: readonly Rule[] = [
  ending,
  externalName,
  noSelector,
  noPorts,
  headless,
  sctp,
  reservedPort,
  internalLocal,
  externalLocal,
  sessionAffinity,
  mesh,
  injection,
  networkPolicy,
  quota,
  limitRange,
];

/** All that is special about a Service, refusals first. */
export function findObstacles(around: Surroundings): Obstacle[] {
  return RULES.flatMap((rule) => rule(around) ?? []).sort((a, b) => Number(b.refused) - Number(a.refused));
}
