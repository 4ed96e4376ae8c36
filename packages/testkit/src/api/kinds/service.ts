import { randomInt } from "node:crypto";
import { isIPv4 } from "node:net";
import type { Json } from "../../json.ts";
import type { KubeJson, Store } from "../../store.ts";
import { invalid } from "../status.ts";
import { dns1035Label, dnsLabel, dnsSubdomain, type FieldErrors, fieldErrors, validateLabels } from "../validation.ts";
import { portName, portNumber } from "./pod-validation.ts";
import { fill, list, type ServiceAddresses, type Strategy, type Surroundings } from "./strategy.ts";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const exposed = (type: string): boolean => type === "NodePort" || type === "LoadBalancer";

export const service: Strategy = {
  name: dns1035Label,
  defaults(object) {
    const spec = (object.spec ??= {});
    fill(spec, { type: "ClusterIP", sessionAffinity: "None" });
    if (spec.sessionAffinity === "ClientIP") {
      spec.sessionAffinityConfig ??= {};
      fill(spec.sessionAffinityConfig, { clientIP: {} });
      fill(spec.sessionAffinityConfig.clientIP, { timeoutSeconds: 10_800 });
    } else delete spec.sessionAffinityConfig;
    for (const port of list(spec.ports)) {
      fill(port, { protocol: "TCP" });
      if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "") port.targetPort = port.port;
    }
    if (spec.type !== "ExternalName") fill(spec, { internalTrafficPolicy: "Cluster" });
    if (exposed(spec.type)) fill(spec, { externalTrafficPolicy: "Cluster" });
    if (spec.type === "LoadBalancer") fill(spec, { allocateLoadBalancerNodePorts: true });
  },
  create(object, around) {
    if (object.spec.clusterIP === undefined && list(object.spec.clusterIPs).length > 0)
      object.spec.clusterIP = object.spec.clusterIPs[0];
    allocate(object, undefined, around);
  },
  update(object, old, around) {
    const { spec } = object;
    const was = old["spec"];
    // Fields that a client need not repeat, and what a change of type gives back.
    if (spec.type !== "ExternalName" && was.type !== "ExternalName" && !spec.clusterIP) fill(spec, { clusterIP: was.clusterIP });
    if (spec.type === "ExternalName")
      for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) delete spec[field];
    if (!exposed(spec.type)) {
      delete spec.externalTrafficPolicy;
      if (exposed(was.type)) for (const port of list(spec.ports)) if (keptNodePort(port, was)) delete port.nodePort;
    } else {
      for (const port of list(spec.ports)) {
        const before = list(was.ports).find((other) => other.port === port.port && other.protocol === port.protocol);
        if (before?.nodePort) fill(port, { nodePort: before.nodePort });
      }
    }
    if (spec.type !== "LoadBalancer") delete spec.allocateLoadBalancerNodePorts;
    allocate(object, old, around);
  },
  initialStatus: () => ({ loadBalancer: {} }),
  validate,
};

const keptNodePort = (port: Json, was: Json): boolean => list(was.ports).some((other) => other.nodePort === port.nodePort);

/** ClusterIP and node ports. Throws Status 422 for an address that is taken or outside of the range. */
function allocate(object: Json, old: KubeJson | undefined, { addresses }: Surroundings): void {
  const { spec, metadata } = object;
  const errors = fieldErrors();
  if (spec.type === "ExternalName") return;
  const before = old?.["spec"].clusterIP;
  if (spec.clusterIP !== "None" && (!before || spec.clusterIP !== before)) {
    const wanted = spec.clusterIP || undefined;
    if (wanted === undefined || (isIPv4(wanted) && !before)) {
      const given = addresses.clusterIP(wanted);
      if (given) spec.clusterIP = given;
      else {
        errors.invalid(
          "spec.clusterIPs",
          [wanted],
          inRange(wanted!)
            ? `failed to allocate IP ${wanted}: provided IP is already allocated`
            : `failed to allocate IP ${wanted}: the provided IP (${wanted}) is not in the valid range. The range of valid IPs is 10.96.0.0/12`,
        );
      }
    }
  }
  spec.clusterIPs = [spec.clusterIP];
  fill(spec, { ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" });
  if (exposed(spec.type) && spec.allocateLoadBalancerNodePorts !== false) {
    list(spec.ports).forEach((port, i) => {
      if (port.nodePort && list(old?.["spec"].ports).some((other) => other.nodePort === port.nodePort)) return;
      const given = addresses.nodePort(port.nodePort || undefined);
      if (given) port.nodePort = given;
      else {
        errors.invalid(
          `spec.ports[${i}].nodePort`,
          port.nodePort,
          port.nodePort >= 30000 && port.nodePort <= 32767
            ? "provided port is already allocated"
            : "provided port is not in the valid range. The range of valid ports is 30000-32767",
        );
      }
    });
  }
  if (errors.causes.length > 0) throw invalid("Service", "", metadata.name, errors.causes);
}

function validate(object: Json, errors: FieldErrors, old: KubeJson | undefined): void {
  const { spec } = object;
  if (!TYPES.includes(spec.type)) errors.unsupported("spec.type", spec.type, TYPES);
  const ports = list(spec.ports);
  if (ports.length === 0 && spec.clusterIP !== "None" && spec.type !== "ExternalName") errors.required("spec.ports");
  if (spec.type === "ExternalName") {
    if (!spec.externalName) errors.required("spec.externalName");
    else if (dnsSubdomain(spec.externalName.replace(/\.$/, ""))) {
      errors.invalid("spec.externalName", spec.externalName, dnsSubdomain(spec.externalName.replace(/\.$/, ""))!);
    }
  }
  if (exposed(spec.type) && spec.clusterIP === "None")
    errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  if (spec.clusterIP && spec.clusterIP !== "None" && !isIPv4(spec.clusterIP)) {
    errors.invalid("spec.clusterIPs[0]", spec.clusterIP, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  }
  const names = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach((port, i) => {
    const field = `spec.ports[${i}]`;
    if (ports.length > 1 && !port.name) errors.required(`${field}.name`);
    else if (port.name) {
      if (dnsLabel(port.name)) errors.invalid(`${field}.name`, port.name, dnsLabel(port.name)!);
      if (names.has(port.name)) errors.duplicate(`${field}.name`, port.name);
      names.add(port.name);
    }
    if (portNumber(port.port)) errors.invalid(`${field}.port`, port.port ?? 0, portNumber(port.port)!);
    if (!["SCTP", "TCP", "UDP"].includes(port.protocol))
      errors.unsupported(`${field}.protocol`, port.protocol, ["SCTP", "TCP", "UDP"]);
    const wrong = typeof port.targetPort === "string" ? portName(port.targetPort) : portNumber(port.targetPort);
    if (wrong) errors.invalid(`${field}.targetPort`, port.targetPort ?? 0, wrong);
    if (port.nodePort && !exposed(spec.type)) {
      errors.forbidden(`${field}.nodePort`, `may not be used when \`type\` is '${spec.type}'`);
    }
    const key = `${port.protocol}/${port.port}`;
    if (numbers.has(key)) errors.duplicate(field, { protocol: port.protocol, port: port.port });
    numbers.add(key);
  });
  if (!["ClientIP", "None"].includes(spec.sessionAffinity)) {
    errors.unsupported("spec.sessionAffinity", spec.sessionAffinity, ["ClientIP", "None"]);
  }
  validateLabels(errors, "spec.selector", spec.selector);
  if (!old) return;
  const was = old["spec"];
  if (was.type !== "ExternalName" && spec.type !== "ExternalName" && was.clusterIP && spec.clusterIP !== was.clusterIP) {
    errors.invalid("spec.clusterIPs[0]", spec.clusterIPs, "may not change once set");
  }
}

const toNumber = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const FIRST = toNumber("10.96.0.0");
const SIZE = 2 ** 20;
const inRange = (address: string): boolean => toNumber(address) > FIRST && toNumber(address) < FIRST + SIZE - 1;

/** Addresses of 10.96.0.0/12 and ports of 30000–32767, taken and given back as the store's Services come and go. */
export function createServiceAddresses(store: Store): ServiceAddresses {
  const taken = new Map<string | number, number>();
  const count = (object: KubeJson | undefined, by: 1 | -1): void => {
    if (!object) return;
    const { clusterIP, ports } = object["spec"] ?? {};
    for (const key of [clusterIP, ...list(ports).map((port) => port.nodePort)]) {
      if (key === undefined || key === "None") continue;
      const now = (taken.get(key) ?? 0) + by;
      if (now > 0) taken.set(key, now);
      else taken.delete(key);
    }
  };
  for (const object of store.list("services")) count(object, 1);
  store.subscribe(({ resource, type, object, previous }) => {
    if (resource !== "services") return;
    count(previous, -1);
    if (type !== "DELETED") count(object, 1);
  });
  // Behind what is handed out last, so that an address isn't given to the next Service at once.
  let nextAddress = FIRST + 256;
  return {
    clusterIP(wanted) {
      if (wanted) return inRange(wanted) && !taken.has(wanted) ? wanted : undefined;
      for (let tries = 0; tries < SIZE; tries++) {
        nextAddress = nextAddress >= FIRST + SIZE - 2 ? FIRST + 256 : nextAddress + 1;
        const address = [24, 16, 8, 0].map((shift) => (nextAddress >>> shift) & 255).join(".");
        if (!taken.has(address)) return address;
      }
      return undefined;
    },
    nodePort(wanted) {
      if (wanted) return wanted >= 30000 && wanted <= 32767 && !taken.has(wanted) ? wanted : undefined;
      // At random, and from the upper ports first (KEP-3668), which leaves the lower ones to those who ask for one.
      for (const [first, size] of [
        [30086, 2682],
        [30000, 86],
      ] as const) {
        const start = randomInt(size);
        for (let tries = 0; tries < size; tries++) {
          const port = first + ((start + tries) % size);
          if (!taken.has(port)) return port;
        }
      }
      return undefined;
    },
  };
}
