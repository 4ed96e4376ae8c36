import { type Step, step } from "../step.ts";

/** What is there. */
export const SERVER: readonly Step[] = [
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
];
