import type { KubeJson } from "../store.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { claimPods } from "./owners.ts";
import { addOwners, createPod, isFinished, isReady, untilAvailable } from "./pods.ts";
import { some } from "./replica-set.ts";
import { hashOf, REVISION_LABEL, syncRevisions } from "./revisions.ts";
import { rollingBounds } from "./rollout-math.ts";
import { untolerated } from "./tolerations.ts";

const RESOURCE = "daemonsets.apps";

/** One pod on each node that the template's node selector takes. */
export function daemonSetController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("daemonset-controller");
  const runsOn = (set: KubeJson, node: KubeJson): boolean =>
    Object.entries<string>(set["spec"].template.spec.nodeSelector ?? {}).every(
      ([key, value]) => node.metadata.labels?.[key] === value,
    ) && untolerated(set["spec"].template, node, ["NoExecute"]).length === 0;

  return {
    name: "daemonset",
    observe(event, add) {
      if (event.resource === RESOURCE) add(keyOf(event.object));
      else if (event.resource === "nodes") for (const set of store.list(RESOURCE)) add(keyOf(set));
      else addOwners(context, event, "DaemonSet", RESOURCE, add);
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const set = store.get(RESOURCE, namespace, name);
      if (!set) return;
      const nodes = store.list("nodes").filter((node) => runsOn(set, node));
      const { update } = syncRevisions(context, set, new Set());
      const hash = hashOf(update);
      const isUpdated = (pod: KubeJson): boolean => pod.metadata.labels?.[REVISION_LABEL] === hash;
      const wait = (pod: KubeJson): number | undefined => untilAvailable(pod, set["spec"].minReadySeconds ?? 0, clock.now());
      const remove = (pod: KubeJson): void => {
        if (pod.metadata.deletionTimestamp) return;
        context.remove("pods", namespace, pod.metadata.name);
        record(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
      };
      const on = (pods: readonly KubeJson[], node: KubeJson): KubeJson[] =>
        pods.filter((pod) => pod["spec"].nodeName === node.metadata.name);

      let pods = claimPods(context, set);
      if (!set.metadata.deletionTimestamp) {
        for (const pod of pods)
          if (isFinished(pod) || !nodes.some((node) => node.metadata.name === pod["spec"].nodeName)) remove(pod);
        for (const node of nodes) {
          if (on(pods, node).length > 0 || untolerated(set["spec"].template, node, ["NoSchedule"]).length > 0) continue;
          const labels = { [REVISION_LABEL]: hash, "pod-template-generation": String(set.metadata.generation ?? 1) };
          const pod = createPod(context, set, { generateName: `${name.slice(0, 57)}-`, labels }, (spec) => {
            spec.nodeName = node.metadata.name;
          });
          record(set, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
        }
        pods = claimPods(context, set);
        if (set["spec"].updateStrategy?.type !== "OnDelete") {
          const { unavailable } = rollingBounds(set["spec"].updateStrategy?.rollingUpdate, nodes.length);
          const down = pods.filter((pod) => wait(pod) !== 0 || pod.metadata.deletionTimestamp).length;
          const old = pods.filter((pod) => !isUpdated(pod));
          // What isn't available costs nothing to replace.
          for (const pod of old.filter((candidate) => wait(candidate) !== 0)) remove(pod);
          for (const pod of old.filter((candidate) => wait(candidate) === 0).slice(0, Math.max(0, unavailable - down))) remove(pod);
          pods = claimPods(context, set);
        }
      }
      const soon = pods.map(wait).filter((ms): ms is number => ms !== undefined && ms > 0);
      if (soon.length > 0) again(Math.min(...soon));
      const placed = pods.filter((pod) => nodes.some((node) => node.metadata.name === pod["spec"].nodeName));
      const available = placed.filter((pod) => wait(pod) === 0).length;
      context.setStatus(RESOURCE, set, {
        currentNumberScheduled: placed.length,
        numberMisscheduled: pods.length - placed.length,
        desiredNumberScheduled: nodes.length,
        numberReady: placed.filter(isReady).length,
        observedGeneration: set.metadata.generation,
        updatedNumberScheduled: some(placed.filter(isUpdated).length),
        numberAvailable: some(available),
        numberUnavailable: some(nodes.length - available),
      });
    },
  };
}
