import type { Container, PodSpec, VolumeMount } from "@shipside/kube";
import { volumesError } from "./errors.ts";
import { localPath } from "./local-path.ts";

/** How the files get here: written from the API, brought by a {@link VolumeDriver}, or not at all: a folder of this machine's own. */
export type Means = "api" | "driver" | "here";

export interface Obstacle {
  /** Of `VOLUMES_ERRORS`, or a driver's or the cluster's. */
  code: string;
  message: string;
  hint?: string;
}

export interface PlannedMount {
  /** The volume's name in the pod spec. */
  volume: string;
  /** The volume source's field in the API: `configMap`, `secret`, `projected`, `emptyDir`, `persistentVolumeClaim`, `hostPath` … */
  kind: string;
  /** What the API says of the source. */
  source: Readonly<Record<string, unknown>>;
  mountPath: string;
  /** Inside the volume; a `subPathExpr` is expanded. */
  subPath?: string;
  /** Files that are made from the API always are. */
  readOnly: boolean;
  /** Below the local directory, `/` between the parts. Undefined where the mount path has no place there. */
  localPath?: string;
  /** Undefined where it can't be brought; then `obstacle` says why. */
  means?: Means;
  obstacle?: Obstacle;
}

export interface VolumesPlan {
  container: string;
  /** An outer mount before those inside it, so that they can be made in this order and undone in the reverse. */
  mounts: PlannedMount[];
}

export interface PlanOptions {
  /** Default the first. May be an init container. */
  container?: string;
  /** Names of volumes, or mount paths. Default all. */
  only?: readonly string[];
  /** For `subPathExpr`, besides what the container's spec gives as literal values. */
  env?: Readonly<Record<string, string>>;
  /** Whose emptyDirs: `spec`, the default, one's own, empty as in a new pod; `running`, those of the pod that runs, by a driver. */
  from?: "spec" | "running";
}

const FROM_API = ["configMap", "secret", "downwardAPI", "projected"];
const BY_DRIVER = ["emptyDir", "persistentVolumeClaim", "ephemeral"];

/** Which volumes a container mounts, where they go, and which can be brought. Throws `VOLUMES_CONTAINER_UNKNOWN`, `VOLUMES_NOT_MOUNTED`. */
export function plan(spec: PodSpec, { container: wanted, only, env = {}, from = "spec" }: PlanOptions = {}): VolumesPlan {
  const container = containerOf(spec, wanted);
  const all = [
    ...(container.volumeMounts ?? []).map((mount) => planMount(spec, container, mount, { env, from })),
    ...(container.volumeDevices ?? []).map((device) => planDevice(spec, device)),
  ];
  const fits = ({ volume, mountPath }: PlannedMount, name: string): boolean => volume === name || trim(mountPath) === trim(name);
  for (const name of only ?? []) {
    if (all.some((mount) => fits(mount, name))) continue;
    throw volumesError("VOLUMES_NOT_MOUNTED", `container ${container.name} mounts no volume "${name}", and nothing at that path`, {
      hint:
        all.length > 0
          ? `it mounts ${all.map(({ volume, mountPath }) => `${volume} at ${mountPath}`).join(", ")}`
          : "it mounts nothing",
      details: { container: container.name, wanted: name },
    });
  }
  const mounts = only ? all.filter((mount) => only.some((name) => fits(mount, name))) : all;
  return { container: container.name, mounts: mounts.sort(outerFirst) };
}

function containerOf(spec: PodSpec, wanted: string | undefined): Container {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const found = wanted === undefined ? all[0] : all.find(({ name }) => name === wanted);
  if (found) return found;
  throw volumesError("VOLUMES_CONTAINER_UNKNOWN", `there is no container ${JSON.stringify(wanted)}`, {
    hint: `it has ${all.map(({ name }) => name).join(", ")}`,
    details: { container: wanted },
  });
}

function sourceOf(spec: PodSpec, volume: string): Pick<PlannedMount, "kind" | "source"> {
  const { name: _name, ...sources } = spec.volumes?.find(({ name }) => name === volume) ?? { name: volume };
  // The API gives an emptyDir to a volume without a source.
  const [kind, source] = Object.entries(sources).find(([, value]) => value !== undefined && value !== null) ?? ["emptyDir", {}];
  return { kind, source: source as Record<string, unknown> };
}

function planDevice(spec: PodSpec, { name, devicePath }: { name: string; devicePath: string }): PlannedMount {
  return {
    ...{ volume: name, mountPath: devicePath, readOnly: false },
    ...sourceOf(spec, name),
    obstacle: {
      code: "VOLUMES_KIND_UNSUPPORTED",
      message: "the container has it as a block device, which has no files",
      hint: "what is on it can be had where the container itself is: kubectl exec",
    },
  };
}

function planMount(
  spec: PodSpec,
  container: Container,
  mount: VolumeMount,
  { env, from }: Required<Pick<PlanOptions, "env" | "from">>,
): PlannedMount {
  const { name: volume, mountPath } = mount;
  const { kind, source } = sourceOf(spec, volume);
  const ofApi = FROM_API.includes(kind);
  const path = localPath(mountPath);
  const expanded = mount.subPathExpr ? expandPath(mount.subPathExpr, container, env) : { path: mount.subPath || undefined };
  const obstacle: Obstacle | undefined =
    path === undefined
      ? { code: "VOLUMES_PATH_UNSAFE", message: `the mount path ${JSON.stringify(mountPath)} has no place below a local directory` }
      : expanded.path !== undefined && localPath(expanded.path) === undefined
        ? { code: "VOLUMES_PATH_UNSAFE", message: `the subPath ${JSON.stringify(expanded.path)} is no path inside a volume` }
        : (expanded.obstacle ?? (ofApi || BY_DRIVER.includes(kind) ? undefined : unsupported(kind)));
  return {
    volume,
    kind,
    source,
    mountPath,
    readOnly: mount.readOnly === true || ofApi || (source as { readOnly?: boolean }).readOnly === true,
    ...(expanded.path !== undefined && { subPath: localPath(expanded.path) ?? expanded.path }),
    ...(path !== undefined && { localPath: path }),
    ...(obstacle ? { obstacle } : { means: ofApi ? "api" : kind === "emptyDir" && from === "spec" ? "here" : "driver" }),
  };
}

const unsupported = (kind: string): Obstacle =>
  kind === "hostPath"
    ? {
        code: "VOLUMES_KIND_UNSUPPORTED",
        message: "a hostPath is the file system of the cluster's node, which is not the workload's own",
        hint: "kubectl cp fetches what you need of it from the pod",
      }
    : {
        code: "VOLUMES_KIND_UNSUPPORTED",
        message: `a volume of the kind ${kind} can't be brought`,
        hint: `${[...FROM_API, ...BY_DRIVER].join(", ")} can`,
      };

const VARIABLE = /\$\$|\$\(([^()$]*)\)/g;

/** `$(VAR)` as in the API; `$$` stands for a `$`. */
function expandPath(
  expression: string,
  container: Container,
  given: Readonly<Record<string, string>>,
): { path?: string; obstacle?: Obstacle } {
  const literal = new Map(
    (container.env ?? []).flatMap(
      ({ name, value }): Array<[string, string]> => (value?.includes("$") || !value ? [] : [[name, value]]),
    ),
  );
  const unknown: string[] = [];
  const path = expression.replace(VARIABLE, (whole, name?: string) => {
    if (name === undefined) return whole === "$$" ? "$" : whole;
    const value = Object.hasOwn(given, name) ? given[name] : literal.get(name);
    if (value === undefined) unknown.push(name);
    return value ?? "";
  });
  if (unknown.length === 0) return { path };
  const message = `the subPathExpr ${expression} needs ${unknown.join(", ")}`;
  return { obstacle: { code: "VOLUMES_SUBPATH_UNKNOWN", message, hint: "give the container's environment as `env`" } };
}

const trim = (path: string): string => path.replace(/\/+$/, "");

/** A path comes before those that it begins. */
function outerFirst(a: PlannedMount, b: PlannedMount): number {
  const [left, right] = [a.localPath ?? "", b.localPath ?? ""];
  return left < right ? -1 : left > right ? 1 : 0;
}
