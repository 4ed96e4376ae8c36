import { DATABASE } from "../manifests.ts";
import { type Step, step } from "../step.ts";

/** The forms of `rollout`, with a Deployment and a StatefulSet. */
export const ROLLOUTS: readonly Step[] = [
  step(
    "a deployment by a command",
    `create deployment api --image=node:24 -- node -e 'process.on("SIGTERM",()=>process.exit());setInterval(()=>{},1e3)'`,
    "deployment.apps/api created",
  ),
  step("its first rollout", "rollout status deployment/api --timeout=25s", /deployment "api" successfully rolled out$/),
  step("its replica set, described", "describe replicaset -l app=api", /^Controlled By: Deployment\/api$/m),
  step("pause", "rollout pause deployment/api", "deployment.apps/api paused"),
  step("pause again", "rollout pause deployment/api", /is already paused/, { exit: 1 }),
  step("a change meanwhile", "set env deployment/api STAGE=two", "deployment.apps/api env updated"),
  step("waits", "get replicasets -l app=api", "NAME DESIRED CURRENT READY AGE\napi-{hash} 1 1 1 {age}"),
  step("and can't be restarted", "rollout restart deployment/api", /can't restart paused deployment/, { exit: 1 }),
  step("resume", "rollout resume deployment/api", "deployment.apps/api resumed"),
  step("it rolls out now", "rollout status deployment/api --timeout=25s", /deployment "api" successfully rolled out$/),
  step("one revision", "rollout history deployment/api --revision=2", /^ Environment:\n STAGE: two$/m),
  step("why", "annotate deployment api kubernetes.io/change-cause=stage-two", /^deployment\.apps\/api annotated$/),
  step(
    "the history says so",
    "rollout history deployment/api",
    "deployment.apps/api\nREVISION CHANGE-CAUSE\n1 <none>\n2 stage-two",
    {
      within: 5000,
    },
  ),
  step("back to the first", "rollout undo deployment/api --to-revision=1", /^deployment\.apps\/api rolled back/),
  step("its number", "rollout history deployment/api", /^deployment\.apps\/api\nREVISION CHANGE-CAUSE\n2 stage-two\n3 <none>/, {
    within: 5000,
  }),
  step("to one that there isn't", "rollout undo deployment/api --to-revision=99", /unable to find specified revision 99/, {
    exit: 1,
  }),
  step("restart", "rollout restart deployment/api", "deployment.apps/api restarted"),
  step("which is a rollout, too", "rollout status deployment/api --timeout=25s", /deployment "api" successfully rolled out$/),
  step("one pod is left of them", "get pods -l app=api", "NAME READY STATUS RESTARTS AGE\napi-{hash}-{id} 1/1 Running 0 {age}", {
    within: 40_000,
  }),
  step(
    "the deployment as YAML",
    "get deployment api -o yaml",
    /^ message: ReplicaSet "api-{hash}" has successfully progressed\.$/m,
    {
      within: 10_000,
    },
  ),
  step("a pod as YAML", "get pods -l app=api -o yaml", /^ dnsPolicy: ClusterFirst$/m),
  step("another image", "set image deployment/api node=node:24", ""),
  step("what it may use", "set resources deployment/api --requests=cpu=1m", "deployment.apps/api resource requirements updated"),
  step("until that is out", "rollout status deployment/api --timeout=25s", /deployment "api" successfully rolled out$/),

  step("a stateful set", "apply -f -", "service/db created\nstatefulset.apps/db created", { stdin: DATABASE }),
  step("its rollout", "rollout status statefulset/db --timeout=25s", /2 new pods have been updated\.\.\.$/),
  step("the stateful set", "get statefulset db -o wide", "NAME READY AGE CONTAINERS IMAGES\ndb 2/2 {age} main node:24"),
  step("its pods", "get pods -l app=db -o name", "pod/db-0\npod/db-1"),
  step("down to one", "scale statefulset db --replicas=1", "statefulset.apps/db scaled"),
  step("the last one goes", "get pods -l app=db -o name", "pod/db-0", { within: 20_000 }),
  step("the stateful set, described", "describe statefulset db", /^Replicas: 1 desired \| 1 total$/m, { within: 5000 }),
  step("its history", "rollout history statefulset/db", /^statefulset\.apps\/db\n?\s*REVISION( CHANGE-CAUSE)?\n1/),
];
