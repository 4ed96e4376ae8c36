import { type Step, step } from "../step.ts";

/** The forms of `delete` and what is waited for. */
export const DELETION: readonly Step[] = [
  step(
    "wait for what isn't there",
    "wait --for=condition=Ready pod/ghost --timeout=1s",
    'Error from server (NotFound): pods "ghost" not found',
    {
      exit: 1,
    },
  ),
  step(
    "wait for what doesn't come",
    "wait --for=condition=Ready=false deployment/api --timeout=1s",
    /timed out waiting for the condition on deployments\/api/,
    {
      exit: 1,
    },
  ),
  step("wait until it is made", "wait --for=create deployment/api --timeout=1s", "deployment.apps/api condition met", {
    since: 31,
  }),
  step(
    "delete, but not really",
    "delete deployment api --dry-run=server",
    /^deployment\.apps "api" deleted( from {ns} namespace)? \(server dry run\)$/,
  ),
  step(
    "delete and leave what it owns",
    "delete deployment api --cascade=orphan",
    /^deployment\.apps "api" deleted( from {ns} namespace)?$/,
  ),
  step("whose are they now", "get replicasets -l app=api -o 'jsonpath={.items[*].metadata.ownerReferences}'", ""),
  step("they still run", "get pods -l app=api", /^api-{hash}-{id} 1\/1 Running 0 {age}$/m),
  step(
    "delete, what it owns first",
    "delete replicasets -l app=api --cascade=foreground --timeout=25s",
    /^replicaset\.apps "api-{hash}" deleted/,
  ),
  step("nothing is left", "get pods -l app=api", "No resources found in {ns} namespace.", { within: 10_000 }),
  step(
    "a finalizer",
    `patch configmap of-file --type=merge -p '{"metadata":{"finalizers":["example.com/held"]}}'`,
    "configmap/of-file patched",
  ),
  step("delete it all the same", "delete configmap of-file --wait=false", /^configmap "of-file" deleted( from {ns} namespace)?$/),
  step(
    "it is held",
    "get configmap of-file -o 'jsonpath={.metadata.finalizers[0]} {.metadata.deletionTimestamp}'",
    "example.com/held {time}",
  ),
  step(
    "no new finalizer",
    `patch configmap of-file --type=merge -p '{"metadata":{"finalizers":["example.com/held","example.com/more"]}}'`,
    /metadata\.finalizers: Forbidden: no new finalizers can be added if the object is being deleted/,
    {
      exit: 1,
    },
  ),
  step("let it go", `patch configmap of-file --type=merge -p '{"metadata":{"finalizers":null}}'`, "configmap/of-file patched"),
  step("gone", "get configmap of-file --ignore-not-found", ""),
  step("an image that nobody has", "run absent --image=absent:1 --image-pull-policy=Never", "pod/absent created"),
  step("isn't fetched, either", "get pod absent", "NAME READY STATUS RESTARTS AGE\nabsent 0/1 ErrImageNeverPull 0 {age}", {
    within: 25_000,
  }),
  step("nor entered", "exec absent -- true", /unable to upgrade connection: container not found \("absent"\)$/, { exit: 1 }),
  step("at once", "delete pod absent --grace-period=0 --force", /^pod "absent" force deleted/m),
  step(
    "delete more than one",
    "delete service inner outer far --now",
    /^service "inner" deleted.*\nservice "outer" deleted.*\nservice "far" deleted/,
  ),
  step("all of a kind", "delete ingresses --all", /^ingress\.networking\.k8s\.io "front" deleted/),
  step("none by that field", "delete configmaps --field-selector=metadata.name=none", "No resources found"),
  step("a name and a selector", "delete configmap shared -l a=b", /error: name cannot be provided when a selector is specified/, {
    exit: 1,
  }),
];
