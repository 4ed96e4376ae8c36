import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Closable, type Closer, createCloser, type Logger, silentLogger } from "@shipside/core";
import { applyManifests } from "./api/apply-manifests.ts";
import { bootstrap, publishEndpoint } from "./api/bootstrap.ts";
import { createAuthority } from "./api/certificates.ts";
import { discovery } from "./api/discovery.ts";
import { checkEscalation } from "./api/escalation.ts";
import { createHandler } from "./api/handler.ts";
import { renderKubeconfig } from "./api/kubeconfig.ts";
import { openApi } from "./api/openapi.ts";
import { createAuthorizer } from "./api/rbac.ts";
import { createRegistry, type Registry } from "./api/registry.ts";
import { createApiServer } from "./api/server.ts";
import { notFound } from "./api/status.ts";
import { type Authenticator, createAuthenticator } from "./api/users.ts";
import { createWatchHub } from "./api/watch.ts";
import { startControllers } from "./controllers/start.ts";
import { testkitError } from "./errors.ts";
import { createFaults, type FaultOptions, type FaultParts, type Faults } from "./faults.ts";
import { createStore, type StoreOptions } from "./memory-store.ts";
import type { ApiServerFacts } from "./node/node-context.ts";
import { type Node, type NodeOptions, startNode } from "./node/start.ts";
import type { KubeJson, Store } from "./store.ts";
import { createUpgradeHandler } from "./streaming/upgrade-handler.ts";

export interface ClusterOptions {
  /** Where the API server listens. Default `127.0.0.1`. */
  host?: string;
  /** Default 0: any free one. */
  port?: number;
  /** Name of the kubeconfig's context and cluster. Default "shipside". */
  name?: string;
  /** Between two bookmarks of a watch that asks for them, in ms. Default 60,000. */
  bookmarkIntervalMs?: number;
  /** Changes kept for watches that start in the past. Default 2,048 for each resource. */
  history?: StoreOptions["history"];
  /** The node that runs pods as local processes, and how. Default true. Without it pods stay as they are put. */
  node?: boolean | NodeChoices;
  /** Deployments, EndpointSlices, garbage collection and so on. Default true. Without them only what clients write happens. */
  controllers?: boolean;
  /** Faults to start with. */
  faults?: FaultOptions;
  logger?: Logger;
}

/** As `startNode` takes them. */
export type NodeChoices = Omit<NodeOptions, "store" | "storeOf" | "apiServer" | "logger">;

export interface ClusterUser {
  name: string;
  groups?: readonly string[];
  /** A bearer token: the text, or true for a random one. Without it the user gets a client certificate. */
  token?: string | true;
  /** When the client certificate ends. */
  notAfter?: Date;
}

export interface EmbeddedCluster extends Closable {
  /** https URL. */
  readonly server: string;
  /** PEM */
  readonly ca: string;
  /** A file with the admin's kubeconfig (the group `system:masters`), gone after `close()`. */
  readonly kubeconfigPath: string;
  /** YAML; of the admin, or of a user who was added. */
  kubeconfig(user?: string): string;
  /** Adds a user, who may do only what Roles grant, and returns their kubeconfig. */
  addUser(user: ClusterUser): string;
  /** Refuses a user's credentials from now on with 401, or takes that back. */
  expireUser(name: string, expired?: boolean): void;
  /** The state. What is created here is defaulted and validated as through the API; a status that comes along stays. */
  readonly store: Store;
  /** What can go wrong, to turn on and off. */
  readonly faults: Faults;
  /** Undefined where `node` is false. */
  readonly node: Node | undefined;
  /** Creates or merges objects, in order: JSON objects, or a YAML text of several documents. `default` where no namespace is named. */
  apply(manifests: readonly object[] | string): Promise<KubeJson[]>;
  /** Makes a Job of a CronJob now, whatever its schedule. Throws Status 404, and `TESTKIT_OPTIONS_INVALID` where `controllers` is false. */
  triggerCronJob(namespace: string, name: string): KubeJson;
  /** Cuts all connections and stops listening; the state stays. */
  stop(): Promise<void>;
  /** Listens again on the same address. */
  start(): Promise<void>;
  /** `stop`, then `start`. */
  restart(): Promise<void>;
}

const ADMIN = "kubernetes-admin";
const VERSION = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+shipside",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "2026-04-22T00:00:00Z",
  goVersion: `node-${process.version}`,
  compiler: "v8",
  platform: `${process.platform === "win32" ? "windows" : process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
};

/**
 * A small Kubernetes in this process: real kubectl and client libraries work with it unchanged. Throws `TESTKIT_OPTIONS_INVALID`,
 * `TESTKIT_PORT_IN_USE`.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<EmbeddedCluster> {
  validateOptions(options);
  const closer = createCloser();
  try {
    return await assemble(options, closer);
  } catch (error) {
    await closer.close();
    throw error;
  }
}

async function assemble(options: ClusterOptions, closer: Closer): Promise<EmbeddedCluster> {
  const { host = "127.0.0.1", port = 0, name = "shipside", bookmarkIntervalMs = 60_000, logger = silentLogger } = options;
  let finished = false;

  const authority = createAuthority(`${name}-ca`);
  const certificate = authority.issue({
    commonName: "kube-apiserver",
    hosts: [
      "localhost",
      "kubernetes",
      "kubernetes.default",
      "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local",
      "10.96.0.1",
      "127.0.0.1",
      "::1",
      host,
    ],
  });
  const plainStore = createStore(options.history === undefined ? {} : { history: options.history });
  const wanted = { node: options.node !== false, controllers: options.controllers !== false };
  const authorizer = createAuthorizer(plainStore);
  const registry = createRegistry({
    store: plainStore,
    ca: authority.cert,
    running: wanted,
    admit: (user, resource, object, old) =>
      checkEscalation(authorizer, user, resource, object.metadata.namespace ?? "", object, old),
  });
  bootstrap(registry);
  const store = admittedStore(plainStore, registry);
  const authenticator = createAuthenticator(plainStore);
  const watches = createWatchHub(plainStore, { bookmarkIntervalMs });
  const faults = createFaults(options.faults);
  let node: Node | undefined;
  const upgrade = createUpgradeHandler();

  const handler = createHandler({
    registry,
    authenticator,
    authorizer,
    discovery: discovery(() => registry.resources(), `${host}:${port}`),
    openApi: openApi(() => registry.resources()),
    watches,
    node: () => node,
    version: VERSION,
  });
  const api = createApiServer(
    {
      certificate,
      ca: authority.cert,
      handler,
      registry,
      authenticator,
      authorizer,
      watches,
      faults: () => faults,
      upgrade: () => upgrade,
      node: () => node,
    },
    { host, port },
  );
  const url = (): string => `https://${host.includes(":") ? `[${host}]` : host}:${api.port}`;
  const choices = typeof options.node === "object" ? options.node : {};
  const apiServer: ApiServerFacts = {
    get url() {
      return url();
    },
    caPem: authority.cert,
    tokenFor: tokens(plainStore, authenticator),
  };
  // Side by side: a node's processes take longer than all the rest.
  const [listening, opened] = await Promise.allSettled([
    api.start(),
    wanted.node ? startNode({ ...choices, store, storeOf: registry.storeOf, logger, apiServer }) : undefined,
  ]);
  closer.use(api);
  if (opened.status === "fulfilled" && opened.value) node = closer.use(opened.value);
  for (const outcome of [listening, opened]) if (outcome.status === "rejected") throw outcome.reason;
  publishEndpoint(plainStore, host, api.port);
  const server = url();
  const controllers = wanted.controllers ? closer.use(startControllers({ store: plainStore, registry, logger })) : undefined;
  const directory = await mkdtemp(join(node?.stateDir ?? tmpdir(), "shipside-cluster-"));
  closer.defer(() => rm(directory, { recursive: true, force: true }));
  const kubeconfigs = new Map<string, string>();

  const cluster: EmbeddedCluster = {
    server,
    ca: authority.cert,
    kubeconfigPath: join(directory, "kubeconfig"),
    store,
    faults,
    node,
    kubeconfig(user = ADMIN) {
      const found = kubeconfigs.get(user);
      if (found === undefined) {
        throw testkitError("TESTKIT_OPTIONS_INVALID", `no user "${user}" was added to the embedded cluster`, {
          hint: "call addUser first",
        });
      }
      return found;
    },
    addUser(user) {
      if (!user?.name) throw testkitError("TESTKIT_OPTIONS_INVALID", "a user needs a name", { hint: "addUser({ name: … })" });
      const { groups = [], token } = user;
      const text = token === true ? randomBytes(16).toString("hex") : token;
      if (text) authenticator.addToken(text, { username: user.name, groups });
      const credentials = text
        ? { token: text }
        : authority.issue({ commonName: user.name, organizations: groups, ...(user.notAfter && { notAfter: user.notAfter }) });
      const config = renderKubeconfig({ server, ca: authority.cert, context: name, user: user.name, credentials });
      kubeconfigs.set(user.name, config);
      return config;
    },
    expireUser: (user, expired = true) => authenticator.expire(user, expired),
    apply: (manifests) => applyManifests(registry, manifests),
    triggerCronJob(namespace, name) {
      if (controllers) return controllers.triggerCronJob(namespace, name);
      throw testkitError(
        "TESTKIT_OPTIONS_INVALID",
        `CronJob ${namespace}/${name} can't be run: the embedded cluster has no controllers`,
        {
          hint: "leave out `controllers: false`",
        },
      );
    },
    stop: () => api.stop(),
    start: () => (finished ? Promise.reject(testkitError("TESTKIT_CLOSED", "the embedded cluster was closed")) : api.start()),
    async restart() {
      await cluster.stop();
      await cluster.start();
    },
    async close() {
      finished = true;
      await closer.close();
    },
    [Symbol.asyncDispose]: () => cluster.close(),
  };
  faults.wire({
    store: plainStore,
    restart: () => cluster.restart(),
    ...(node && podFaults(node)),
  });
  await writeFile(cluster.kubeconfigPath, cluster.addUser({ name: ADMIN, groups: ["system:masters"] }), { mode: 0o600 });
  return cluster;
}

/** Tokens as the kubelet asks for them: bound to the pod they are mounted into. */
function tokens(store: Store, authenticator: Authenticator): NonNullable<NodeOptions["apiServer"]>["tokenFor"] {
  return (namespace, name, details) => {
    const account = store.get("serviceaccounts", namespace, name);
    if (!account) throw notFound("serviceaccounts", name);
    return authenticator.issue({
      namespace,
      serviceAccount: name,
      uid: account.metadata.uid,
      audiences: details?.audience ? [details.audience] : [],
      lifetime: details?.expirationSeconds ?? 3600,
      ...(details && { bound: { kind: "Pod", apiVersion: "v1", ...details.pod } }),
    }).token;
  };
}

const podFaults = (node: Node): Pick<FaultParts, "killPod" | "hangPod" | "loseNode"> => ({
  loseNode: (name) => node.lose(name),
  killPod: (namespace, name) => node.killPod(namespace, name),
  hangPod(namespace, name) {
    const hung = node.hangPod(namespace, name);
    return () => void hung.then(() => node.resumePod(namespace, name)).catch(() => {});
  },
});

function validateOptions({ host, port, bookmarkIntervalMs, history }: ClusterOptions): void {
  const wrong = (what: string): Error =>
    testkitError("TESTKIT_OPTIONS_INVALID", `the embedded cluster can't start: ${what}`, { hint: "see ClusterOptions" });
  if (host !== undefined && !/^(127\.\d+\.\d+\.\d+|::1)$/.test(host))
    throw wrong(`host ${JSON.stringify(host)} is not a loopback address`);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535))
    throw wrong(`port ${port} is not one of 0–65535`);
  if (bookmarkIntervalMs !== undefined && !(bookmarkIntervalMs > 0))
    throw wrong(`bookmarkIntervalMs ${bookmarkIntervalMs} is not above 0`);
  if (history !== undefined && !(Number.isInteger(history) && history > 0))
    throw wrong(`history ${history} is not a whole number above 0`);
}

/** The store as controllers, the node and embedders see it: creating goes through the kind's defaults, admission and validation. */
function admittedStore(store: Store, registry: Registry): Store {
  const create: Store["create"] = (key, object) => {
    const resource = registry.resources().find((candidate) => candidate.key === key);
    if (!resource) throw notFound("resources", key);
    return registry.create(resource, object.metadata.namespace ?? "", object, { trusted: true });
  };
  return Object.assign(Object.create(store) as Store, { create });
}
