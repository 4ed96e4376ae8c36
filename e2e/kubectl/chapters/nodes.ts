import { type Step, step } from "../step.ts";

/** A node: its taints, and how it is emptied. `--pod-selector` keeps that to one pod of ours, also on somebody's cluster. */
export const NODES: readonly Step[] = [
  step("taint", "taint nodes {node} example.com/kept=yes:PreferNoSchedule", "node/{node} tainted", { unscoped: true }),
  step("the taint", `get node {node} -o 'jsonpath={.spec.taints[?(@.key=="example.com/kept")].effect}'`, "PreferNoSchedule", {
    unscoped: true,
  }),
  step("taint it again", "taint nodes {node} example.com/kept=yes:PreferNoSchedule", /already has example\.com\/kept taint/, {
    exit: 1,
    unscoped: true,
  }),
  step("untaint", "taint nodes {node} example.com/kept-", "node/{node} untainted", { unscoped: true }),
  step("untaint again", "taint nodes {node} example.com/kept-", /taint "example\.com\/kept" not found/, {
    exit: 1,
    unscoped: true,
  }),
  step("cordon", "cordon {node}", "node/{node} cordoned", { unscoped: true }),
  step("cordon again", "cordon {node}", "node/{node} already cordoned", { unscoped: true }),
  step(
    "a pod for this node",
    `run late --image=node:24 --overrides={"spec":{"nodeSelector":{"kubernetes.io/hostname":"{node}"},"terminationGracePeriodSeconds":1}} --command -- node -e 'setInterval(()=>{},1e3)'`,
    "pod/late created",
  ),
  step("has to wait", "get events --field-selector=involvedObject.name=late -o 'jsonpath={.items[*].reason}'", "FailedScheduling", {
    within: 20_000,
  }),
  step("where it is", "get pod late", "NAME READY STATUS RESTARTS AGE\nlate 0/1 Pending 0 {age}"),
  step("uncordon", "uncordon {node}", "node/{node} uncordoned", { unscoped: true }),
  step("it runs", "wait --for=condition=Ready pod/late --timeout=25s", "pod/late condition met"),
  step("drain what nobody replaces", "drain {node} --pod-selector=run=late", /cannot delete Pods .*{ns}\/late/, {
    exit: 1,
    unscoped: true,
  }),
  step(
    "drain it by force",
    "drain {node} --pod-selector=run=late --force --timeout=25s",
    /^evicting pod {ns}\/late\npod\/late evicted\nnode\/{node} (drained|evicted)$/m,
    {
      unscoped: true,
    },
  ),
  step("open again", "uncordon {node}", "node/{node} uncordoned", { unscoped: true }),
];
