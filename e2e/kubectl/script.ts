import { POD, WEB } from "./manifests.ts";
import type { Step } from "./step.ts";

const step = (name: string, args: string, expect: Step["expect"], more: Partial<Step> = {}): Step => ({
  name,
  args: args.match(/(?:'[^']*'|[^\s'])+/g)!.map((arg) => arg.replaceAll("'", "")),
  expect,
  ...more,
});

/** In order: each step may build on those before it. */
export const SCRIPT: readonly Step[] = [
  // What is there
  step("reach the server", "get --raw /readyz", "ok", { unscoped: true }),
  step("versions", "version", /Server Version: .*v?1\.\d+|"1"/i, { unscoped: true }),
  step("list kinds", "api-resources --api-group=apps", /deployments deploy (true|apps\/v1 true|apps true) Deployment/, {
    unscoped: true,
  }),
  step("list versions", "api-versions", /^apps\/v1$[\s\S]*^v1$/m, { unscoped: true }),
  step("a namespace with nothing in it", "get pods", "No resources found in {ns} namespace."),
  step(
    "what a namespace has",
    "get configmaps,serviceaccounts -o name",
    /^configmap\/kube-root-ca\.crt\n(.*\n)?serviceaccount\/default$/,
  ),
  step("a namespace", "get namespace {ns}", "NAME STATUS AGE\n{ns} Active {age}", { unscoped: true }),

  // Objects made by commands
  step("create a configmap", "create configmap plain --from-literal=a=1 --from-literal=b=2", "configmap/plain created"),
  step(
    "create it again",
    "create configmap plain --from-literal=a=1",
    /^(error: failed to create configmap|Error from server \(AlreadyExists\)): configmaps "plain" already exists$/,
    { exit: 1 },
  ),
  step("read it", "get configmap plain", "NAME DATA AGE\nplain 2 {age}"),
  step("one value", "get configmap plain -o 'jsonpath={.data.b}'", "2"),
  step("create a secret", "create secret generic hidden --from-literal=password=s3cret", "secret/hidden created"),
  step("read the secret", "get secret hidden", "NAME TYPE DATA AGE\nhidden Opaque 1 {age}"),
  step("describe the secret", "describe secret hidden", /^Type: Opaque\n\nData\n====\npassword: 6 bytes$/m),
  step("patch by merge", `patch configmap plain --type=merge -p '{"data":{"a":"9"}}'`, "configmap/plain patched"),
  step("patch by JSON", `patch configmap plain --type=json -p '[{"op":"remove","path":"/data/b"}]'`, "configmap/plain patched"),
  step(
    "a JSON patch that can't be",
    `patch configmap plain --type=json -p '[{"op":"test","path":"/data/a","value":"0"}]'`,
    /^The request is invalid/,
    { exit: 1 },
  ),
  step("what the patches made", "get configmap plain -o 'jsonpath={.data}'", /^({"a":"9"}|map\[a:9\])$/),
  step("label", "label configmap plain tier=low", "configmap/plain labeled"),
  step(
    "label again, another value",
    "label configmap plain tier=high",
    /^error: 'tier' already has a value \(low\), and --overwrite is false$/,
    { exit: 1 },
  ),
  step("overwrite the label", "label configmap plain tier=high --overwrite", "configmap/plain labeled"),
  step("select by label", "get configmaps -l 'tier in (high,other)' -o name", "configmap/plain"),
  step("select what hasn't it", "get configmaps -l '!tier' -o name", /^configmap\/kube-root-ca\.crt$/m),
  step("select by field", "get configmaps --field-selector=metadata.name=plain -o name", "configmap/plain"),
  step(
    "a field that can't be selected",
    "get configmaps --field-selector=data.a=9",
    /"?data\.a"? is not a known field selector: only "metadata\.name", "metadata\.namespace"/,
    { exit: 1 },
  ),
  step("a selector that is none", "get configmaps -l 'a b'", /unable to parse requirement|couldn't parse the selector/, {
    exit: 1,
  }),
  step("annotate", "annotate configmap plain note=hello", /^configmap\/plain annotat(ed)$/),
  step("edit", "edit configmap plain", "configmap/plain edited", { env: { KUBE_EDITOR: "sed -i s/hello/goodbye/" } }),
  step("what editing made", "get configmap plain -o 'jsonpath={.metadata.annotations.note}'", "goodbye"),
  step("delete it", "delete configmap plain", /^configmap "plain" deleted( from {ns} namespace)?$/),
  step("it is gone", "get configmap plain", 'Error from server (NotFound): configmaps "plain" not found', { exit: 1 }),
  step("nothing to delete, by request", "delete configmap plain --ignore-not-found", ""),
  step("a kind that there isn't", "get gizmos", `error: the server doesn't have a resource type "gizmos"`, { exit: 1 }),

  // Bad input
  step(
    "a name that can't be",
    "create configmap Not_A_Name",
    /configmaps? "Not_A_Name" is invalid: metadata\.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of/i,
    { exit: 1 },
  ),
  step("a namespace that there isn't", "create configmap x -n {ns}-none", /namespaces "{ns}-none" not found$/, {
    exit: 1,
    unscoped: true,
  }),
  step("a Service without ports", "create -f -", /^The Service "bad" is invalid: spec\.ports: Required value$/, {
    stdin: "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {selector: {a: b}}\n",
    exit: 1,
  }),
  step(
    "a selector that misses its pods",
    "create -f -",
    /^The Deployment "bad" is invalid: spec\.template\.metadata\.labels: Invalid value: .*: `selector` does not match template `labels`$/,
    {
      stdin:
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, " +
        "spec: {containers: [{name: a, image: a}]}}}\n",
      exit: 1,
    },
  ),
  step("a pod without containers", "create -f -", /^The Pod "bad" is invalid: spec\.containers: Required value$/, {
    stdin: "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n",
    exit: 1,
  }),
  step("a field that there isn't", "create -f -", /unknown field "(spec\.)?colour"/, {
    stdin: "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {colour: red, containers: [{name: a, image: a}]}\n",
    exit: 1,
    since: 27,
  }),
  step(
    "a type that is wrong",
    "create --validate=false -f -",
    /cannot unmarshal string into Go struct field .*replicas of type int32/,
    {
      stdin:
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {replicas: many, selector: {matchLabels: {a: b}}, template: " +
        "{metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}\n",
      exit: 1,
    },
  ),

  // Manifests
  step(
    "dry run on the server",
    "apply --dry-run=server -f -",
    "configmap/settings created (server dry run)\ndeployment.apps/web created (server dry run)\nservice/web created (server dry run)",
    { stdin: WEB },
  ),
  step("the dry run left nothing", "get deployments", "No resources found in {ns} namespace."),
  step("apply", "apply -f -", "configmap/settings created\ndeployment.apps/web created\nservice/web created", { stdin: WEB }),
  step("apply the same again", "apply -f -", "configmap/settings unchanged\ndeployment.apps/web unchanged\nservice/web unchanged", {
    stdin: WEB,
  }),
  step("wait for the rollout", "rollout status deployment/web --timeout=25s", /deployment "web" successfully rolled out$/),
  step("wait for a condition", "wait --for=condition=Available deployment/web --timeout=25s", "deployment.apps/web condition met"),
  step("pods", "get pods", "NAME READY STATUS RESTARTS AGE\nweb-{hash}-{id} 1/1 Running 0 {age}"),
  step(
    "pods, wide",
    "get pods -o wide",
    /^NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\nweb-{hash}-{id} 1\/1 Running 0 {age} {ip} \S+ <none> <none>$/,
  ),
  step("deployments", "get deployments", "NAME READY UP-TO-DATE AVAILABLE AGE\nweb 1/1 1 1 {age}"),
  step(
    "deployments, wide",
    "get deployments -o wide",
    "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR\nweb 1/1 1 1 {age} main node:24 app=web",
  ),
  step("replica sets", "get replicasets", "NAME DESIRED CURRENT READY AGE\nweb-{hash} 1 1 1 {age}"),
  step(
    "services",
    "get service web -o wide",
    "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR\nweb ClusterIP {ip} <none> 80/TCP {age} app=web",
  ),
  step(
    "endpoint slices",
    "get endpointslices -l kubernetes.io/service-name=web",
    "NAME ADDRESSTYPE PORTS ENDPOINTS AGE\nweb-{id} IPv4 8080 {ip} {age}",
    { within: 5000 },
  ),
  step("all", "get all -o name", /^pod\/web-{hash}-{id}\nservice\/web\ndeployment\.apps\/web\nreplicaset\.apps\/web-{hash}$/),
  step(
    "columns of one's own",
    "get deployments -o 'custom-columns=N:.metadata.name,R:.spec.replicas,S:.spec.strategy.type'",
    "N R S\nweb 1 RollingUpdate",
  ),
  step(
    "describe the deployment",
    "describe deployment web",
    /^Replicas: 1 desired \| 1 updated \| 1 total \| 1 available \| 0 unavailable$/m,
  ),
  step(
    "describe the pod",
    "describe pods -l app=web",
    /^ Normal Scheduled (\S+|<unknown>) default-scheduler Successfully assigned {ns}\/web-{hash}-{id} to \S+$/m,
  ),
  step("describe the service", "describe service web", /^TargetPort: http\/TCP\nEndpoints: {ip}:8080$/m),
  step(
    "events",
    "get events --field-selector=reason=ScalingReplicaSet",
    /^{age} Normal ScalingReplicaSet deployment\/web Scaled up replica set web-{hash} (from 0 )?to 1$/m,
  ),

  // Into pods
  step("run a command", "exec deployment/web -- sh -c 'echo out; echo err >&2; exit 3'", /out[\s\S]*err[\s\S]*exit code 3$/, {
    exit: 3,
  }),
  step("input to a command", "exec -i deployment/web -- sh -c 'tr a-z A-Z'", "SHOUT", { stdin: "shout\n" }),
  step("the pod's environment", "exec deployment/web -- node -p 'process.env.GREETING'", "world"),
  step("copy in", "cp /etc/hostname {ns}/{pod}:/scratch/copied", "", { unscoped: true }),
  step("what was copied", "exec deployment/web -- sh -c 'ls /scratch'", "copied"),
  step("forward a port to a pod", "port-forward deployment/web :8080", "hello world", {
    until: /127\.0\.0\.1:(\d+)/,
    request: "http://127.0.0.1:$1/to-pod",
  }),
  step("forward a port to a service", "port-forward service/web :80", "hello world", {
    until: /127\.0\.0\.1:(\d+)/,
    request: "http://127.0.0.1:$1/to-service",
  }),
  step("logs", "logs deployment/web", "/to-pod\n/to-service"),
  step("the last line", "logs deployment/web --tail=1", "/to-service"),
  step("follow", "logs -f deployment/web", /^\/to-pod/, { until: /to-service/ }),
  step("a container that there isn't", "logs deployment/web -c other", /container other is not valid for pod web-{hash}-{id}/, {
    exit: 1,
  }),
  step("a pod of its own", "apply -f -", "pod/solo created", { stdin: POD }),
  step("until it is ready", "wait --for=condition=Ready pod/solo --timeout=25s", "pod/solo condition met"),
  step("until a field is so", "wait --for=jsonpath={.status.phase}=Running pod/solo --timeout=10s", "pod/solo condition met", {
    since: 23,
  }),
  step("its logs, since", "logs solo --since=1h", "started", { within: 5000 }),
  step(
    "a change that a pod doesn't take",
    `patch pod solo -p '{"spec":{"containers":[{"name":"main","command":["true"]}]}}'`,
    /^The Pod "solo" is invalid: spec: Forbidden: pod updates may not change fields other than/,
    { exit: 1 },
  ),
  step("watch", "get pod solo -w --request-timeout=5s", /^NAME READY STATUS RESTARTS AGE\nsolo 1\/1 Running 0 {age}$/, {
    until: /solo .*\n/,
  }),
  step("delete a pod and wait", "delete pod solo --timeout=20s", /^pod "solo" deleted( from {ns} namespace)?$/),

  // Changes
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

  // Jobs
  step("create a job", "create job once --image=node:24 -- node -e 'console.log(42)'", "job.batch/once created"),
  step("until it is complete", "wait --for=condition=Complete job/once --timeout=25s", "job.batch/once condition met"),
  step("the job", "get job once", "NAME STATUS COMPLETIONS DURATION AGE\nonce Complete 1/1 {age} {age}"),
  step("its log", "logs job/once", "42"),
  step(
    "create a cron job",
    "create cronjob tick --image=node:24 --schedule='*/5 * * * *' -- node -e 1",
    "cronjob.batch/tick created",
    { since: 21 },
  ),
  step("run it now", "create job from-cron --from=cronjob/tick", "job.batch/from-cron created", { since: 21 }),
  step(
    "the cron job",
    "get cronjob tick",
    /^NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE\ntick \*\/5 \* \* \* \* <none> False 0 <none> {age}$/,
    { since: 21 },
  ),

  // Access
  step("may I", "auth can-i create pods", "yes"),
  step("a role", "create role reader --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/reader created"),
  step(
    "for somebody",
    "create rolebinding reader --role=reader --user=jane",
    "rolebinding.rbac.authorization.k8s.io/reader created",
  ),
  step("may they", "auth can-i list pods --as=jane", "yes"),
  step("may they not", "auth can-i delete pods --as=jane", "no", { exit: 1 }),
  step("they may", "get pods -l app=web -o name --as=jane", "pod/web-{hash}-{id}"),
  step(
    "they may not",
    "get secrets --as=jane",
    'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "{ns}"',
    { exit: 1 },
  ),
  step("who am I", "auth whoami -o 'jsonpath={.status.userInfo.groups}' --as=jane --as-group=dev", /dev.*system:authenticated/, {
    since: 28,
    unscoped: true,
  }),
  step("a token", "create token default", "{token of aud, exp, iat, iss, jti, kubernetes.io, nbf, sub}", { since: 24 }),

  // The end
  step("delete by label", "delete pods -l app=web --wait=false", /^pod "web-{hash}-{id}" deleted( from {ns} namespace)?$/),
  step(
    "delete what a file says",
    "delete --timeout=25s -f -",
    /^configmap "settings" deleted.*\ndeployment\.apps "web" deleted.*\nservice "web" deleted/,
    { stdin: WEB },
  ),
  step("its pods go with it", "get pods -l app=web", "No resources found in {ns} namespace.", { within: 15_000 }),
  step("delete a namespace of its own", "create namespace {ns}-two", "namespace/{ns}-two created", { unscoped: true }),
  step("and all that is in it", "create configmap inside -n {ns}-two", "configmap/inside created", { unscoped: true }),
  step("until it is gone", "delete namespace {ns}-two --timeout=25s", 'namespace "{ns}-two" deleted', { unscoped: true }),
  step("it is", "get namespace {ns}-two", 'Error from server (NotFound): namespaces "{ns}-two" not found', {
    unscoped: true,
    exit: 1,
  }),
];
