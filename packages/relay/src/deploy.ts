import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, codeOf, hasCode, ShipsideError } from "@shipside/core";
import {
  byPreference,
  type Cluster,
  CONFIG_MAPS,
  DEPLOYMENTS,
  isLive,
  type KubeObject,
  PODS,
  type Pod,
  type ResourceType,
  SECRETS,
} from "@shipside/kube";
import { relayError } from "./errors.ts";
import { DISRUPTION_BUDGETS, LEASES, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS } from "./kinds.ts";
import {
  configMapOf,
  deploymentOf,
  disruptionBudgetOf,
  leaseOf,
  roleBindingOf,
  roleOf,
  secretOf,
  serviceAccountOf,
  startPatch,
} from "./manifest.ts";
import { programText } from "./program-text.ts";
import { CONTROL_PORT, RESERVED_PORTS } from "./protocol.ts";
import { untilReady } from "./readiness.ts";
import { relayFilesName, relayPodSelector } from "./relay-names.ts";
import type { RelaySpec } from "./relay-spec.ts";

/** A relay that is in the cluster, and ready. */
export interface DeployedRelay {
  readonly name: string;
  readonly namespace: string;
  /** Its Deployment's. */
  readonly uid: string;
  /** Asked for on its link. */
  readonly secret: string;
  /** Whether it may remove itself (and restore what it switched) when its owner is gone: false where the user may not create Roles. */
  readonly selfRemoving: boolean;
  /** Its live pods, ready ones first. */
  pods(options?: { signal?: AbortSignal }): Promise<Pod[]>;
  /** A stream to the control port of one of its pods, by name; without a name of the best one. Rejects with `DIAL_GONE` where there is none. */
  openControl(pod?: string, options?: { signal?: AbortSignal }): Promise<Duplex>;
  /** Deletes its Deployment, and with it everything of its. Resolves when the Deployment is gone from the API. */
  remove(options?: { signal?: AbortSignal }): Promise<void>;
}

/** Creates an object, and says how it is deleted again: for who keeps a record of what must be undone. */
export type MakeObject = <T extends KubeObject>(
  type: ResourceType<T>,
  object: T,
) => Promise<{ object: T; remove(): Promise<void> }>;

export interface DeployOptions {
  /** Ends the deploying; what was made by then is removed. */
  signal: AbortSignal;
  /** Makes the Deployment, which owns everything else. Default: just creates it. */
  make?: MakeObject;
  /** How long its pods may take to be ready, in ms. Default 120,000: an image may have to be pulled. */
  readyTimeoutMs?: number;
}

const REMOVE_MS = 15_000;

/**
 * Brings a relay into the cluster. Resolves when its pods are ready; on any failure, and when `signal` fires, everything that was made is
 * removed before it rejects. Codes: those of {@link untilReady}, `RELAY_OPTIONS`, kube's (`KUBE_FORBIDDEN` names the rule that is
 * missing, `KUBE_CONFLICT`: there is one of that name).
 */
export async function deployRelay(cluster: Cluster, spec: RelaySpec, options: DeployOptions): Promise<DeployedRelay> {
  checkSpec(spec);
  const { signal, make = plainly(cluster), readyTimeoutMs = 120_000 } = options;
  const { name, namespace, replicas = 1 } = spec;
  const program = await programText();
  const secret = randomBytes(32).toString("base64url");
  signal.throwIfAborted();
  const made = await make(DEPLOYMENTS, deploymentOf(spec) as KubeObject as never);
  const uid = (made.object as KubeObject).metadata.uid ?? "";
  const relay = (selfRemoving: boolean): DeployedRelay =>
    deployed(cluster, { name, namespace, uid, secret, selfRemoving }, () => made.remove());
  try {
    const create = <T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T> => cluster.create(type, object, { signal });
    const [selfRemoving] = await Promise.all([
      spec.selfRemoving === false ? false : giveRights(cluster, spec, uid, signal),
      create(CONFIG_MAPS, configMapOf(spec, uid, program)),
      create(SECRETS, secretOf(spec, uid, secret)),
      replicas > 1 && create(DISRUPTION_BUDGETS, disruptionBudgetOf(spec, uid)),
    ]);
    await cluster.patch(DEPLOYMENTS, { namespace, name }, startPatch(spec, selfRemoving, uid), { kind: "merge", signal });
    await untilReady(cluster, { namespace, name, uid, replicas, timeoutMs: readyTimeoutMs, signal });
    return relay(selfRemoving);
  } catch (error) {
    await relay(false)
      .remove()
      .catch((failed: Error) => {
        throw leftBehind(error as Error, failed, { namespace, name });
      });
    throw error;
  }
}

/** The first failure goes before: it is what there is to do something about. */
function leftBehind(
  error: Error & { hint?: string },
  failed: Error,
  { namespace, name }: { namespace: string; name: string },
): Error {
  const removal = `to remove what is left: kubectl delete deployment ${name} -n ${namespace}`;
  return new ShipsideError(
    codeOf(error) ?? "RELAY_NOT_READY",
    `${error.message}; and what was made could not be removed: ${failed.message}`,
    { hint: [error.hint, removal].filter(Boolean).join("\n"), cause: new AggregateError([error, failed], "two failures") },
  );
}

/** The relay of that name, whoever made it; undefined where there is none. Doesn't wait for it to be ready. */
export async function findRelay(
  cluster: Cluster,
  { namespace, name }: { namespace: string; name: string },
  { signal }: { signal?: AbortSignal } = {},
): Promise<DeployedRelay | undefined> {
  const options = signal && { signal };
  try {
    const found = await cluster.get(DEPLOYMENTS, { namespace, name }, options);
    if (found.metadata.deletionTimestamp !== undefined) return undefined;
    const uid = found.metadata.uid ?? "";
    const secret = await cluster.get(SECRETS, { namespace, name: relayFilesName({ name, uid }) }, options);
    const parts = {
      ...{ name, namespace, uid },
      secret: Buffer.from(secret.data?.["secret"] ?? "", "base64").toString(),
      selfRemoving: found.spec.template.spec.serviceAccountName === name,
    };
    return deployed(cluster, parts, () =>
      cluster.delete(DEPLOYMENTS, { namespace, name }, { propagation: "Background", uid: parts.uid }),
    );
  } catch (error) {
    if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
    throw error;
  }
}

function deployed(
  cluster: Cluster,
  parts: Pick<DeployedRelay, "name" | "namespace" | "uid" | "secret" | "selfRemoving">,
  removeDeployment: () => Promise<void>,
): DeployedRelay {
  const { name, namespace, uid } = parts;
  const pods: DeployedRelay["pods"] = async ({ signal } = {}) => {
    const all = await cluster.list(PODS, { namespace, labelSelector: relayPodSelector(parts), ...(signal && { signal }) });
    return all.filter(isLive).sort(byPreference);
  };
  return {
    ...parts,
    pods,
    async openControl(pod, { signal } = {}) {
      const options = signal ? { signal } : {};
      const to = pod ?? (await pods(options))[0]?.metadata.name;
      if (to === undefined) throw relayError("DIAL_GONE", `the relay ${namespace}/${name} has no running pod`);
      return cluster.portForward({ namespace, name: to }, CONTROL_PORT, options);
    },
    async remove({ signal = AbortSignal.timeout(REMOVE_MS) } = {}) {
      await removeDeployment();
      for (;;) {
        const left = await cluster.get(DEPLOYMENTS, { namespace, name }, { signal }).catch((error: unknown) => {
          if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
          throw error;
        });
        if (left?.metadata.uid !== uid) return;
        if (signal.aborted) throw abortError(signal);
        await sleep(200);
      }
    },
  };
}

function plainly(cluster: Cluster): MakeObject {
  return async (type, object) => {
    const made = await cluster.create(type, object);
    const { name, namespace, uid } = made.metadata;
    const ref = { name, ...(namespace !== undefined && { namespace }) };
    return {
      object: made,
      remove: () => cluster.delete(type, ref, { propagation: "Background", ...(uid !== undefined && { uid }) }),
    };
  };
}

/** A ServiceAccount that may remove the relay. False where the user may not give such rights: then the relay has none. */
async function giveRights(cluster: Cluster, spec: RelaySpec, uid: string, signal: AbortSignal): Promise<boolean> {
  try {
    await cluster.create(ROLES, roleOf(spec, uid), { signal });
    await Promise.all([
      cluster.create(ROLE_BINDINGS, roleBindingOf(spec, uid), { signal }),
      cluster.create(SERVICE_ACCOUNTS, serviceAccountOf(spec, uid), { signal }),
      (spec.replicas ?? 1) > 1 && cluster.create(LEASES, leaseOf(spec, uid), { signal }),
    ]);
    return true;
  } catch (error) {
    if (hasCode(error, "KUBE_FORBIDDEN")) return false;
    throw error;
  }
}

/** Throws `RELAY_OPTIONS`. */
function checkSpec({ name, accept = [], graceSeconds = 60, settleSeconds = 3, replicas = 1 }: RelaySpec): void {
  const invalid = (why: string): Error => relayError("RELAY_OPTIONS", `relay ${JSON.stringify(name)}: ${why}`);
  if (!/^[a-z]([-a-z0-9]{0,44}[a-z0-9])?$/.test(name)) throw invalid("its name must be a DNS label of at most 46 characters");
  if (!(graceSeconds >= 1 && graceSeconds <= 86_400)) throw invalid("graceSeconds must be from 1 to 86400");
  if (!(settleSeconds >= 0 && settleSeconds <= 60)) throw invalid("settleSeconds must be from 0 to 60");
  if (replicas !== 1 && replicas !== 2) throw invalid("replicas must be 1 or 2");
  const reserved = accept.find(({ listen }) => RESERVED_PORTS.includes(listen));
  if (reserved) throw invalid(`it needs port ${reserved.listen} for itself`);
}
