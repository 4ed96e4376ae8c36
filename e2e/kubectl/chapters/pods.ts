import { POD } from "../manifests.ts";
import { type Step, step } from "../step.ts";

/** Into pods. */
export const PODS: readonly Step[] = [
  step("run a command", "exec deployment/web -- sh -c 'echo out; echo err >&2; exit 3'", /out[\s\S]*err[\s\S]*exit code 3$/, {
    exit: 3,
  }),
  step("input to a command", "exec -i deployment/web -- sh -c 'tr a-z A-Z'", "SHOUT", { stdin: "shout\n" }),
  step("the pod's environment", "exec deployment/web -- node -p 'process.env.GREETING'", "world"),
  step("copy in", "cp /etc/hostname {ns}/{pod}:/scratch/copied", "", { unscoped: true }),
  step("what was copied", "exec deployment/web -- sh -c 'ls /scratch'", "copied"),
  step("copy out", "cp {ns}/{pod}:/scratch/copied {home}/taken/back", "", { unscoped: true }),
  step("a directory in", "cp {home}/taken {ns}/{pod}:/scratch/taken", "", { unscoped: true }),
  step(
    "as it was",
    `exec deployment/web -- sh -c 'cd /scratch && test -s copied && test "$(cat copied)" = "$(cat taken/back)" && echo same'`,
    "same",
  ),
  step("copy what isn't there", "cp {ns}/{pod}:/scratch/none {home}/none", "", {
    unscoped: true,
  }),
  step("a command that there isn't", "exec deployment/web -- none-such", /executable file not found in \$PATH/, { exit: 1 }),
  step(
    "in a container that there isn't",
    "exec deployment/web -c other -- true",
    /container other is not valid for pod web-{hash}-{id}/,
    {
      exit: 1,
    },
  ),
  step("nothing to say", "exec deployment/web -- true", ""),
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
  step(
    "watch as events",
    "get pods -l app=solo -w --output-watch-events",
    /^EVENT NAME READY STATUS RESTARTS AGE\nADDED solo 1\/1 Running 0 {age}$/,
    {
      until: /solo .*\n/,
    },
  ),
  step("its logs, with times", "logs solo --timestamps", "{time} started"),
  step("as much of them", "logs solo --limit-bytes=4", "star"),
  step("with its name", "logs -l app=solo --prefix --all-containers", "[pod/solo/main] started"),
  step(
    "of the one before",
    "logs solo --previous",
    /^Error from server \(BadRequest\): previous terminated container "main" in pod "solo" not found$/,
    {
      exit: 1,
    },
  ),
  step(
    "its status, patched",
    `patch pod solo --subresource=status --type=merge -p '{"status":{"message":"seen"}}'`,
    "pod/solo patched",
    { since: 24 },
  ),
  step("a pod that is done", "run quick --image=node:24 --restart=Never -- node -e 'console.log(1)'", "pod/quick created"),
  step("until it is done", "get pod quick -o 'jsonpath={.status.phase}'", "Succeeded", { within: 20_000 }),
  step("how it is shown", "get pod quick", "NAME READY STATUS RESTARTS AGE\nquick 0/1 Completed 0 {age}"),
  step("what it said", "logs quick", "1"),
  step("it can't be entered", "exec quick -- true", /current phase is Succeeded$/, { exit: 1 }),
  step("the done one, described", "describe pod quick", /^ Reason: Completed\n Exit Code: 0$/m),
  step("delete the done one", "delete pod quick --now", /^pod "quick" deleted/),
  step("delete a pod and wait", "delete pod solo --timeout=20s", /^pod "solo" deleted( from {ns} namespace)?$/),
];
