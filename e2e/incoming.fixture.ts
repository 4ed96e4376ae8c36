import { chmod, copyFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import { type Intercept, type InterceptOptions, openIntercept } from "@shipside/proxy";
import { type EmbeddedCluster, type KubeJson, SAMPLE_NAMESPACE, sampleManifests, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { newUser, type User } from "./cli.harness.ts";

export const NAMESPACE = SAMPLE_NAMESPACE;

export interface SampleCluster extends AsyncDisposable {
  readonly embedded: EmbeddedCluster;
  readonly cluster: Cluster;
  /** Asks from a pod of the cluster: each answer's text, or `failed: …`. */
  ask(...requests: Array<{ url: string; headers?: Record<string, string> }>): Promise<string[]>;
  /** Runs a program in that pod. */
  node(program: string): Promise<string>;
  /** As {@link usersObjects}. */
  objects(): Record<string, unknown>;
  /** Where each Service leads to now: names of pods that are ready. */
  endpoints(service: string): string[];
}

/** The sample application, all of it ready. */
export async function openSampleCluster(options?: Parameters<typeof startCluster>[0]): Promise<SampleCluster> {
  const closer = createCloser();
  const embedded = closer.use(await startCluster(options));
  try {
    await embedded.apply(sampleManifests());
    const cluster = closer.use(await connectCluster({ kubeconfig: embedded.kubeconfigPath, namespace: NAMESPACE }));
    const { store } = embedded;
    const ready = (service: string): string[] =>
      store
        .list("endpointslices.discovery.k8s.io", NAMESPACE)
        .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service)
        // biome-ignore lint/suspicious/noExplicitAny: an endpoint
        .flatMap(({ endpoints }) => (endpoints ?? []) as any[])
        .filter(({ conditions }) => conditions?.ready)
        .map(({ targetRef }) => String(targetRef.name));
    while (["core", "frontend", "leaf", "database"].some((service) => ready(service).length === 0)) await sleep(50);
    // Controllers may write to objects for a moment after their pods are ready.
    const objects = (): Record<string, unknown> => usersObjects((kind) => store.list(kind, NAMESPACE));
    const stands = async (): Promise<boolean> => {
      const before = JSON.stringify(objects());
      await sleep(300);
      return JSON.stringify(objects()) === before;
    };
    while (!(await stands()));
    const run = async (program: string): Promise<string> => {
      const { stdout, stderr } = await cluster.exec({ namespace: NAMESPACE, name: ready("frontend")[0]! }, ["node", "-e", program]);
      return stdout.length > 0 ? stdout.toString() : `${stderr}`;
    };
    return {
      embedded,
      cluster,
      endpoints: ready,
      node: run,
      async ask(...requests) {
        const program = `(async () => { const out = []; for (const { url, headers } of ${JSON.stringify(requests)}) out.push(await fetch(url, { headers }).then((r) => r.text(), (e) => "failed: " + (e.cause?.code ?? e.message))); console.log(JSON.stringify(out)); })()`;
        return JSON.parse(await run(program));
      },
      objects,
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

export const USERS_KINDS = [
  ...["services", "configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims"],
  ...["deployments.apps", "statefulsets.apps"],
  ...["roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"],
  ...["poddisruptionbudgets.policy", "leases.coordination.k8s.io"],
];

/** All objects of a namespace as a user made them, but pods and what controllers make of them: to be compared. */
export function usersObjects(list: (kind: string) => readonly KubeJson[]): Record<string, unknown> {
  return Object.fromEntries(
    USERS_KINDS.flatMap((kind) =>
      list(kind).map(({ metadata, status: _status, ...rest }) => {
        const { resourceVersion: _version, ...meta } = metadata;
        return [`${kind}/${metadata.name}`, { ...rest, metadata: meta }];
      }),
    ),
  );
}

/** For the tests of a file: one sample application, and a user for each test, after whom nothing is left. */
export interface SampleUsers {
  readonly sample: SampleCluster;
  /** Its objects before any test. */
  readonly before: Record<string, unknown>;
  readonly user: User;
  readonly kubeconfig: string;
  /** That cluster and namespace, as options of the command line. */
  where(): string[];
}

export function sampleUsers(): SampleUsers {
  type Made = { -readonly [Key in keyof SampleUsers]: SampleUsers[Key] };
  const made: Made = { where: () => ["-k", made.kubeconfig, "-n", NAMESPACE] } as Made;
  beforeAll(async () => {
    made.sample = await openSampleCluster();
    made.before = made.sample.objects();
  }, 150_000);
  afterAll(() => made.sample?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    made.user = await newUser();
    made.kubeconfig = await kubeconfigFor(made.user, made.sample);
  }, 120_000);
  afterEach(async () => {
    try {
      await made.user.run(["stop", "-q"]);
      expect(made.sample.objects()).toEqual(made.before);
      expect(await made.user.left()).toEqual([]);
      expect(made.sample.endpoints("core")).toEqual([expect.stringMatching(/^core-/)]);
    } finally {
      await made.user[Symbol.asyncDispose]();
    }
  }, 40_000);
  return made;
}

/** A copy of the kubeconfig that a test's user may read. */
async function kubeconfigFor(user: User, { embedded }: SampleCluster): Promise<string> {
  const path = join(user.home, "kubeconfig");
  await copyFile(embedded.kubeconfigPath, path);
  await chmod(path, 0o644);
  return path;
}

/** A process of the developer's: answers `local` and what it was asked. */
export async function serveHttp(
  handle: (request: IncomingMessage, response: ServerResponse) => void = (request, response) =>
    response.end(`local ${request.url}`),
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** For an intercept, where every node learns of a change at once, and nothing that is kept open is judged. */
export const QUICK = { settleSeconds: 0.2 };

/** Intercepts of a test's, and all that they have said. */
export interface Intercepts {
  open(options?: Partial<InterceptOptions>): Promise<Intercept>;
  readonly said: string[];
  /** Those that are open, and forgets what was said. */
  close(): Promise<void>;
}

/** As alice, and as `defaults` says, where the test doesn't say it. */
export function intercepts(defaults: () => Omit<InterceptOptions, "holder">): Intercepts {
  const opened: Intercept[] = [];
  const said: string[] = [];
  return {
    said,
    async open(options) {
      const made = await openIntercept({
        holder: "alice@laptop",
        onEvent: (event) => said.push(event.kind === "notice" ? event.message : event.error.message),
        ...defaults(),
        ...options,
      });
      opened.push(made);
      return made;
    },
    async close() {
      for (const each of opened.splice(0)) await each.close();
      said.length = 0;
    },
  };
}
