import { type Step, step } from "../step.ts";

/** Bad input. */
export const REFUSALS: readonly Step[] = [
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
];
