import { WEB } from "../manifests.ts";
import { type Step, step } from "../step.ts";

/** Manifests. */
export const APPLY: readonly Step[] = [
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
];
