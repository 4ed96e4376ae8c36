import type { ErrorJson, HostsEntry } from "@shipside/core";
import type { DiffRow } from "@shipside/envexport";
import type { ExposeStatus, InterceptStatus, MatchWords } from "@shipside/proxy";
import type { OpenVolume, VolumeObstacle } from "@shipside/volumes";
import type { TunnelsProbe } from "./probe.ts";
import type { PodInfo } from "./session-pod.ts";

/** What is wanted of a session. Also what travels over the control socket, so plain data. */
export interface SessionOptions {
  /**
   * Default "teleport". "env": the environment only, no tunnel and no names. "expose" and "intercept": the cluster's traffic comes here, and
   * no tunnel, names or env. "mount": a workload's volumes alone.
   */
  kind?: SessionKind;
  /** As kubectl takes it: `deployment/core`, `deploy core`. None: a teleport into the namespace as such, without env. */
  workload?: string;
  container?: string;
  /** The home namespace. Default: the context's. */
  namespace?: string;
  /** Further namespaces. */
  also?: readonly string[];
  /** Which services: rules of the tunnel package, seen from the home namespace, of which the last one that fits decides. Default: all. */
  services?: readonly string[];
  /**
   * How services are reached. Default: port-forward, and a relay in the cluster for what that can't do (UDP, ExternalName, endpoints that
   * are no pods), deployed when such a service is first connected to. "relay": everything through a relay, deployed at once.
   * "port-forward": never a relay.
   */
  via?: "relay" | "port-forward";
  /** `host:port`: hosts that only the cluster can reach, each with an address and its own name here, through the relay. */
  remoteHosts?: readonly string[];
  /** What the relay runs in: a Node of 22 or later. */
  relayImage?: string;
  /** What it can be called by, beside its id. One session of a process has it. */
  name?: string;
  /** The entry of a file (or saved profile) that wants it. Equal wishes of different origin are different sessions. */
  origin?: SessionOrigin;
  /** Path of a kubeconfig file, or several joined as in `KUBECONFIG`. */
  kubeconfig?: string;
  context?: string;
  /** A file for the workload's env, absolute; written, kept current, and removed at the end. */
  envFile?: { path: string; format?: string };
  env?: SessionEnvOptions;
  expose?: SessionExposeOptions;
  intercept?: SessionInterceptOptions;
  /**
   * Whether its traffic is kept by the inspector of its process, where that has one. Default: what comes here (expose, intercept), not what goes
   * out by tunnels (teleport). false: nor is the session the reason for an inspector.
   */
  capture?: boolean;
  /** The workload's volumes in a folder here; its env then has SHIPSIDE_ROOT, the folder's path. */
  mount?: SessionMountOptions;
}

export type SessionKind = "teleport" | "env" | "expose" | "intercept" | "mount";

export interface SessionMountOptions {
  /** Absolute; empty or not there yet. Each volume appears at `dir/<mountPath>`. */
  dir: string;
  /** Volumes' names and mount paths. Default: all that the container mounts. */
  only?: readonly string[];
  /** Nothing is written back. */
  readOnly?: boolean;
  /** Whose emptyDirs: "spec", the default, are this machine's own and empty; "running", the running pod's. */
  from?: "spec" | "running";
  /** A driver's name. Default "auto": the first that can work here, those that write back before those that copy. */
  driver?: string;
  /** Of the driver "sync": names, and paths with a `/`, that are let alone on both sides; `*` stands for any part of a name. */
  ignore?: readonly string[];
}

/** What expose and intercept have in common. Ports as `[NAME=]REMOTE[:LOCAL][/udp]`. */
interface SessionIncomingOptions {
  /** The Service's name. */
  service: string;
  ports?: readonly string[];
  /** How long the relay stays when this machine isn't linked, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /** Of the relay: a Node of 22 or later. */
  image?: string;
}

export interface SessionExposeOptions extends SessionIncomingOptions {
  /** Its container's ports are reused where none are given. */
  workload?: string;
}

export interface SessionInterceptOptions extends SessionIncomingOptions {
  /** Default: the header `x-shipside-intercept` with the user's name. */
  match?: MatchWords;
  /** The ports carry no HTTP; goes with `match.all`. */
  tcp?: boolean;
  /** A Secret of type `kubernetes.io/tls`: the relay ends TLS by it, looks inside, and to the pods TLS begins anew. */
  tlsSecret?: string;
  /** This machine gets copies, and the cluster answers. */
  mirror?: boolean;
  /** End what others have of the same traffic. */
  takeOver?: boolean;
  /** How long a request waits for a local process that is away, in ms, 0–86,400,000. Default 0. */
  holdMs?: number;
}

export interface SessionOrigin {
  /** Absolute path. */
  file: string;
  /** `teleports[0]`, or `teleports.core` where the entry has a name. */
  entry: string;
  /** Of all that the entry says: another digest is another wish. */
  digest: string;
}

/** Which env of the workload, and what of it. */
export interface SessionEnvOptions {
  /** Default "spec"; "running" is what the container in a pod really has. */
  from?: "spec" | "running";
  /** Leave out what may not be read. Default: as a teleport does, not as an env that was asked for. */
  skipForbidden?: boolean;
  /** Globs of names. */
  only?: readonly string[];
  except?: readonly string[];
  /** Default true; false: nothing that comes from a Secret. */
  secrets?: boolean;
  set?: Readonly<Record<string, string>>;
  /** Keep it current without a file too, and tell what changes (`env-changed`). */
  follow?: boolean;
}

export interface ServiceInfo {
  namespace: string;
  name: string;
  address?: string;
  /** Of a dual-stack service in a command's own namespaces: its other ClusterIP. */
  secondaryAddress?: string;
  /** Of an ExternalName: the name that it stands for. */
  externalName?: string;
  /** Why it can't be reached at all. */
  unsupported?: string;
  ports: Array<{
    port: number;
    name?: string;
    protocol: string;
    state: string;
    /** How many pods are ready to serve it. */
    ready: number;
    error?: ErrorJson;
    reason?: string;
  }>;
}

/** A session as it is now. */
export interface SessionInfo {
  id: string;
  kind: SessionKind;
  context: string;
  server: string;
  namespace: string;
  also: readonly string[];
  workload?: string;
  /** Of a teleport's workload. */
  pod?: PodInfo;
  name?: string;
  /** The rules by which it has services; absent: all. */
  selection?: readonly string[];
  origin?: SessionOrigin;
  /** ISO 8601. */
  openedAt: string;
  /** How many commands and callers hold it; it ends with the last one. */
  holders: number;
  names: NamesInfo;
  envFile?: { path: string; format: string; variables: number };
  /** What holds the view of the cluster back; empty where everything is current. */
  stale: ErrorJson[];
  services: ServiceInfo[];
  incoming?: IncomingInfo;
  mount?: MountInfo;
  /** Where the inspector of its process has its page: `http://localhost:4040`. Its link is asked for by the method `inspector`. */
  inspector?: string;
}

/** A workload's volumes on this machine. */
export interface MountInfo {
  dir: string;
  container: string;
  /** Of what isn't written from the API: which, and why that one. */
  drivers: ReadonlyArray<{ name: string; why: string }>;
  volumes: readonly OpenVolume[];
  /** What isn't there, each with its reason. */
  obstacles: readonly VolumeObstacle[];
}

/** Traffic of the cluster that comes to this machine. */
export type IncomingInfo = ExposeStatus | InterceptStatus;

/** Whether a session works now: its API server, and its tunnels from end to end. */
export type ProbeResult = ProbeFacts & ({ answeredMs: number } | { error: ErrorJson });

export interface ProbeFacts {
  id: string;
  /** How port-forward connections travel, and how many there are; the carrier is unknown before the first. */
  transport: { carrier?: string; connections: number; streams: number; bytes: number; stuck: number };
  tunnels: TunnelsProbe;
}

export interface ProbeOptions {
  /** How many ports of a session are tried at most. Default 24. */
  most?: number;
  signal?: AbortSignal;
}

export interface NamesInfo {
  /** `hosts`: in the machine's hosts file. `commands`: only commands of the session see them, and `reason` says why. */
  where: "hosts" | "commands" | "none";
  count: number;
  reason?: ErrorJson;
}

/** What a session tells while it opens and as long as it is open. Plain data. */
export type SessionEvent =
  /** `notes`: what the kubeconfig has done on the way there, in words; before any of it is. */
  | {
      step: "connected";
      context: string;
      cluster: string;
      user: string;
      server: string;
      namespace: string;
      notes?: readonly string[];
    }
  | { step: "resolved"; workload: string }
  | { step: "tunnels"; namespaces: readonly string[]; services: number; ports: number; failed: number }
  | { step: "names"; names: NamesInfo; entries: readonly HostsEntry[] }
  | { step: "env"; variables: number; file?: string }
  /** What an env that is followed, or in a file, has become. Secrets are masked. */
  | { step: "env-changed"; names: readonly string[]; rows: readonly DiffRow[] }
  /** Traffic comes here now. `match`: which, in words; `marked`: the headers that make a request one of it, where they can be told. */
  | { step: "incoming"; incoming: IncomingInfo; match?: string; marked?: Readonly<Record<string, string>> }
  | { step: "mounted"; mount: MountInfo }
  /** The inspector's page is there; `captures`: it shows this session's traffic too. */
  | { step: "inspector"; url: string; captures: boolean }
  /** Worth knowing, needs no doing. */
  | { step: "notice"; message: string }
  /** How far the copy of a volume is, twice a second: each takes the place of the one before. */
  | { step: "copying"; message: string }
  | { step: "joined"; id: string }
  | { step: "warning"; error: ErrorJson }
  | { step: "ended"; error?: ErrorJson };
