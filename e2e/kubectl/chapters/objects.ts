import { type Step, step } from "../step.ts";

/** Objects made by commands. */
export const OBJECTS: readonly Step[] = [
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
];
