import { WEB } from "../manifests.ts";
import { type Step, step } from "../step.ts";

/** The end. */
export const END: readonly Step[] = [
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
