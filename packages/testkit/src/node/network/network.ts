import type { Socket } from "node:net";
import type { Closable } from "@shipside/core";
import type { KubeJson } from "../../store.ts";
import type { Agent } from "../agent/client.ts";
import type { RootView } from "../agent/protocol.ts";

export type NetworkMode = "namespaces" | "loopback" | "fake";

export interface ContainerMount {
  /** The container's path. */
  at: string;
  /** Where it really is. */
  source: string;
  file: boolean;
  readOnly: boolean;
}

/** How a container's process is started so that it sees its mounts. */
export interface ContainerView {
  cwd: string;
  view?: RootView;
}

/** What a pod's containers share. */
export interface Sandbox extends Closable {
  readonly ip: string;
  /** Where `127.0.0.1` of the pod is, for {@link dial}. */
  readonly localAddress: string;
  readonly agent: Agent;
  /** Connects from within the pod's network. */
  dial(host: string, port: number): Promise<Socket>;
  /** What a container's environment has from the sandbox; the pod's own values win. */
  env(container: string): Record<string, string>;
  container(request: { name: string; mounts: readonly ContainerMount[]; workingDir: string | undefined }): ContainerView;
}

/** Where pods live: addresses, processes, and how they reach services. */
export interface PodNetwork extends Closable {
  readonly mode: NetworkMode;
  /** The node's own address as pods see it. */
  readonly hostIP: string;
  /** `directory` is the pod's own. */
  sandbox(pod: KubeJson, directory: string): Promise<Sandbox>;
  /** The variables by which a pod of the namespace finds services, with addresses that it can reach. */
  serviceEnv(namespace: string, links: boolean): Record<string, string>;
}
