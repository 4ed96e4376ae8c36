import { type Step, step } from "../step.ts";

/** Changes. */
export const CHANGES: readonly Step[] = [
  step("scale", "scale deployment web --replicas=2", "deployment.apps/web scaled"),
  step("scale if it is as thought", "scale deployment web --replicas=3 --current-replicas=7", /Expected replicas to be 7, was 2$/, {
    exit: 1,
  }),
  step("two of them", "get deployment web", "NAME READY UP-TO-DATE AVAILABLE AGE\nweb 2/2 2 2 {age}", { within: 15_000 }),
  step("change an env variable", "set env deployment/web EXTRA=1", "deployment.apps/web env updated"),
  step("that rolls out", "rollout status deployment/web --timeout=25s", /deployment "web" successfully rolled out$/),
  step("history", "rollout history deployment/web", /^deployment\.apps\/web\nREVISION CHANGE-CAUSE\n1 <none>\n2 <none>$/),
  step("undo", "rollout undo deployment/web", /^deployment\.apps\/web rolled back/),
  step("undone", "get deployment web -o 'jsonpath={.spec.template.spec.containers[0].env[*].name}'", "GREETING"),
  step(
    "a selector can't change",
    `patch deployment web --type=merge -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'`,
    /^The Deployment "web" is invalid:[\s\S]*spec\.selector: Invalid value: .*: field is immutable/,
    { exit: 1 },
  ),
  step(
    "one container by its name",
    `patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"MORE","value":"1"}]}]}}}}'`,
    "deployment.apps/web patched",
  ),
  step("the others stayed", "get deployment web -o 'jsonpath={.spec.template.spec.containers[0].env[*].name}'", "MORE GREETING"),
  step(
    "server-side apply, another's field",
    "apply --server-side --validate=false --field-manager=mine -f -",
    /Apply failed with 1 conflict: conflict with "\S+"( with subresource "scale")? using apps\/v1: \.spec\.replicas/,
    {
      stdin: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
      exit: 1,
    },
  ),
  // A current kubectl hands over what was applied by clients, applies again, and warns that less is left than a Deployment needs.
  step(
    "by force",
    "apply --server-side --validate=false --field-manager=mine --force-conflicts -f -",
    /^deployment\.apps\/web serverside-applied(\nWarning: failed to re-apply configuration after .*)?$/,
    { stdin: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n" },
  ),
  step("whose it is now", "get deployment web -o 'jsonpath={.metadata.managedFields[0].manager}'", "mine"),
  step("that rolls out, too", "rollout status deployment/web --timeout=25s", /deployment "web" successfully rolled out$/),
  step("the old ones are gone", "get pods -l app=web", "NAME READY STATUS RESTARTS AGE\nweb-{hash}-{id} 1/1 Running 0 {age}", {
    within: 15_000,
  }),
  step("diff", "diff -f -", /^-.*greeting: world\n\+.*greeting: moon$/m, {
    stdin: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: moon, file.txt: "one line\\n"}\n',
    exit: 1,
  }),
  step("replace", "replace -f -", "configmap/settings replaced", {
    stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: moon}\n",
  }),
  step("expose", "expose deployment web --name=second --port=8080 --type=NodePort", "service/second exposed"),
  step(
    "the exposed one",
    "get service second",
    /^NAME TYPE CLUSTER-IP EXTERNAL-IP PORT\(S\) AGE\nsecond NodePort {ip} <none> 8080:{node port}\/TCP {age}$/,
  ),
];
