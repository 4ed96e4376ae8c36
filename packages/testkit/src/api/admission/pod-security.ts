import type { Json } from "../../json.ts";
import { list } from "../kinds/strategy.ts";

export type Level = "privileged" | "baseline" | "restricted";

/** What a pod does that a level doesn't allow. `reason` alone names the rule, `detail` says where. */
export interface Violation {
  reason: string;
  detail: string;
}

type Check = (spec: Json) => Violation | undefined;

const containersOf = (spec: Json): Json[] => [
  ...list(spec.initContainers),
  ...list(spec.containers),
  ...list(spec.ephemeralContainers),
];
const quoted = (words: readonly string[]): string => words.map((word) => JSON.stringify(word)).join(", ");
const some = (noun: string, words: readonly string[]): string => `${noun}${words.length === 1 ? "" : "s"} ${quoted(words)}`;
const unique = (words: readonly string[]): string[] => [...new Set(words)].sort();
const namesWhere = (spec: Json, test: (container: Json) => unknown): string[] =>
  containersOf(spec)
    .filter(test)
    .map((container) => container.name);

/** The pod and each container that sets something forbidden. */
function setters(spec: Json, bad: (context: Json) => boolean): string[] {
  const names = namesWhere(spec, (container) => bad(container.securityContext ?? {}));
  return [...(bad(spec.securityContext ?? {}) ? ["pod"] : []), ...(names.length > 0 ? [some("container", names)] : [])];
}

const violation = (reason: string, details: readonly string[], joint = " and ", rest = ""): Violation | undefined =>
  details.length > 0 ? { reason, detail: `${details.join(joint)}${rest}` } : undefined;

const BASELINE_CAPABILITIES = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split(" "),
);
const SAFE_SYSCTLS = new Set(
  (
    "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies " +
    "net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout " +
    "net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem"
  ).split(" "),
);
const SELINUX_TYPES = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);
const VOLUMES = new Set("configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret".split(" "));
const isWindows = (spec: Json): boolean => spec.os?.name === "windows";

function addedCapabilities(spec: Json, allowed: ReadonlySet<string>): string[] {
  const forbidden = (container: Json): string[] =>
    list(container.securityContext?.capabilities?.add).filter((name) => !allowed.has(name)) as unknown as string[];
  const names = namesWhere(spec, (container) => forbidden(container).length > 0);
  const capabilities = unique(containersOf(spec).flatMap(forbidden));
  return names.length === 0
    ? []
    : [`${some("container", names)} must not include ${quoted(capabilities)} in securityContext.capabilities.add`];
}

const probeHosts = (container: Json): string[] =>
  [
    container.livenessProbe,
    container.readinessProbe,
    container.startupProbe,
    container.lifecycle?.preStop,
    container.lifecycle?.postStart,
  ].flatMap((action) => [action?.httpGet?.host, action?.tcpSocket?.host].filter(Boolean));

/** In the order in which the real server names them. */
const BASELINE: Readonly<Record<string, Check>> = {
  appArmorProfile: (spec) =>
    violation(
      "forbidden AppArmor profile",
      setters(spec, (context) => context.appArmorProfile?.type === "Unconfined"),
      " and ",
      ' must not set AppArmor profile type to "Unconfined"',
    ),
  capabilities: (spec) => violation("non-default capabilities", addedCapabilities(spec, BASELINE_CAPABILITIES)),
  hostNamespaces: (spec) =>
    violation(
      "host namespaces",
      ["hostNetwork", "hostPID", "hostIPC"].filter((name) => spec[name]).map((name) => `${name}=true`),
      ", ",
    ),
  hostPathVolumes(spec) {
    const names = list(spec.volumes).flatMap((volume) => (volume.hostPath ? [volume.name] : []));
    return violation("hostPath volumes", names.length > 0 ? [some("volume", names)] : []);
  },
  hostPorts(spec) {
    const portsOf = (container: Json): number[] => list(container.ports).flatMap((port) => port.hostPort || []);
    const names = namesWhere(spec, (container) => portsOf(container).length > 0);
    const ports = [...new Set(containersOf(spec).flatMap(portsOf))].sort((a, b) => a - b);
    const uses = `${names.length === 1 ? "uses" : "use"} hostPort${ports.length === 1 ? "" : "s"} ${ports.join(", ")}`;
    return violation("hostPort", names.length > 0 ? [`${some("container", names)} ${uses}`] : []);
  },
  hostProbes(spec) {
    const names = namesWhere(spec, (container) => probeHosts(container).length > 0);
    const hosts = unique(containersOf(spec).flatMap(probeHosts)).join(", ");
    const uses = `${names.length === 1 ? "uses" : "use"} probe or lifecycle host${hosts.includes(",") ? "s" : ""} ${hosts}`;
    return violation("probe or lifecycle host", names.length > 0 ? [`${some("container", names)} ${uses}`] : []);
  },
  privileged(spec) {
    const names = namesWhere(spec, (container) => container.securityContext?.privileged);
    return violation(
      "privileged",
      names.length > 0 ? [some("container", names)] : [],
      "",
      " must not set securityContext.privileged=true",
    );
  },
  procMount(spec) {
    const bad = (container: Json): boolean => !["Default", undefined].includes(container.securityContext?.procMount);
    const names = namesWhere(spec, bad);
    const types = quoted(
      unique(
        containersOf(spec)
          .filter(bad)
          .map((container) => container.securityContext.procMount),
      ),
    );
    return violation(
      "procMount",
      names.length > 0 ? [some("container", names)] : [],
      "",
      ` must not set securityContext.procMount to ${types}`,
    );
  },
  seLinuxOptions(spec) {
    const bad = ({ seLinuxOptions: options }: Json): boolean =>
      options !== undefined && (!SELINUX_TYPES.has(options.type ?? "") || Boolean(options.user) || Boolean(options.role));
    const all = [spec.securityContext ?? {}, ...containersOf(spec).map((container) => container.securityContext ?? {})]
      .filter(bad)
      .map((context) => context.seLinuxOptions);
    const types = unique(all.flatMap(({ type = "" }) => (SELINUX_TYPES.has(type) ? [] : [type])));
    const what = [
      ...(types.length > 0 ? [`${types.length === 1 ? "type" : "types"} ${quoted(types)}`] : []),
      ...(all.some(({ user }) => user) ? ["user may not be set"] : []),
      ...(all.some(({ role }) => role) ? ["role may not be set"] : []),
    ];
    return violation(
      "seLinuxOptions",
      setters(spec, bad),
      " and ",
      ` set forbidden securityContext.seLinuxOptions: ${what.join("; ")}`,
    );
  },
  seccompProfile: (spec) =>
    violation(
      "seccompProfile",
      setters(spec, (context) => context.seccompProfile?.type === "Unconfined"),
      " and ",
      ' must not set securityContext.seccompProfile.type to "Unconfined"',
    ),
  sysctls: (spec) =>
    violation(
      "forbidden sysctls",
      list(spec.securityContext?.sysctls)
        .map(({ name }) => name)
        .filter((name) => !SAFE_SYSCTLS.has(name)),
      ", ",
    ),
  windowsHostProcess: (spec) =>
    violation(
      "hostProcess",
      setters(spec, (context) => context.windowsOptions?.hostProcess === true),
      " and ",
      " must not set securityContext.windowsOptions.hostProcess=true",
    ),
};

const RESTRICTED: Readonly<Record<string, Check>> = {
  allowPrivilegeEscalation(spec) {
    const names = isWindows(spec)
      ? []
      : namesWhere(spec, (container) => container.securityContext?.allowPrivilegeEscalation !== false);
    return violation(
      "allowPrivilegeEscalation != false",
      names.length > 0 ? [`${some("container", names)} must set securityContext.allowPrivilegeEscalation=false`] : [],
    );
  },
  capabilities(spec) {
    if (isWindows(spec)) return undefined;
    const names = namesWhere(spec, (container) => !list(container.securityContext?.capabilities?.drop).includes("ALL"));
    const drop = names.length > 0 ? [`${some("container", names)} must set securityContext.capabilities.drop=["ALL"]`] : [];
    return violation("unrestricted capabilities", [...drop, ...addedCapabilities(spec, new Set(["NET_BIND_SERVICE"]))], "; ");
  },
  restrictedVolumes(spec) {
    const kindOf = (volume: Json): string => Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
    const bad = list(spec.volumes).filter((volume) => !VOLUMES.has(kindOf(volume)));
    const names = bad.map(({ name }) => name);
    const kinds = unique(bad.map(kindOf));
    const use = `${names.length === 1 ? "uses" : "use"} restricted volume type${kinds.length === 1 ? "" : "s"} ${quoted(kinds)}`;
    return violation("restricted volume types", names.length > 0 ? [`${some("volume", names)} ${use}`] : []);
  },
  runAsNonRoot(spec) {
    const forbidden = setters(spec, (context) => context.runAsNonRoot === false);
    if (forbidden.length > 0)
      return violation("runAsNonRoot != true", forbidden, " and ", " must not set securityContext.runAsNonRoot=false");
    if (spec.securityContext?.runAsNonRoot) return undefined;
    const names = namesWhere(spec, (container) => container.securityContext?.runAsNonRoot !== true);
    return violation(
      "runAsNonRoot != true",
      names.length > 0 ? [`pod or ${some("container", names)} must set securityContext.runAsNonRoot=true`] : [],
    );
  },
  runAsUser: (spec) =>
    violation(
      "runAsUser=0",
      setters(spec, (context) => context.runAsUser === 0),
      " and ",
      " must not set runAsUser=0",
    ),
  seccompProfile(spec) {
    if (isWindows(spec)) return undefined;
    const type = (context: Json): string | undefined => context?.seccompProfile?.type;
    const fine = (profile: string | undefined): boolean => profile === "RuntimeDefault" || profile === "Localhost";
    const forbidden = setters(spec, (context) => type(context) !== undefined && !fine(type(context)));
    if (forbidden.length > 0) {
      const types = unique(
        [spec, ...containersOf(spec)].flatMap((each) =>
          fine(type(each.securityContext)) ? [] : (type(each.securityContext) ?? []),
        ),
      );
      return violation(
        "seccompProfile",
        forbidden,
        " and ",
        ` must not set securityContext.seccompProfile.type to ${quoted(types)}`,
      );
    }
    if (fine(type(spec.securityContext))) return undefined;
    const names = namesWhere(spec, (container) => type(container.securityContext) === undefined);
    return violation(
      "seccompProfile",
      names.length > 0
        ? [`pod or ${some("container", names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`]
        : [],
    );
  },
};

/** Rules of the baseline that a stricter one takes the place of. */
const OVERRIDDEN = new Set(["capabilities", "hostPathVolumes", "seccompProfile"]);

/** What a pod's spec does that the level of the Pod Security Standards (as of Kubernetes 1.36) doesn't allow, in the real order. */
export function violations(spec: Json, level: Level): Violation[] {
  if (level === "privileged") return [];
  const baseline = Object.entries(BASELINE).filter(([id]) => level === "baseline" || !OVERRIDDEN.has(id));
  const checks = level === "baseline" ? baseline : [...baseline, ...Object.entries(RESTRICTED)];
  return checks.flatMap(([, check]) => check(spec) ?? []);
}
