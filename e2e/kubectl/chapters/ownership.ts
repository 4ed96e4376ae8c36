import { type Step, step } from "../step.ts";

const shared = (data: string, labels = ""): Partial<Step> => ({
  stdin: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared${labels}}\ndata: ${data}\n`,
});

/** Who wrote what: server-side apply by several, and what client-side apply remembers. */
export const OWNERSHIP: readonly Step[] = [
  step(
    "one applies",
    "apply --server-side --field-manager=one -f -",
    "configmap/shared serverside-applied",
    shared("{a: x, b: x}"),
  ),
  step(
    "two applies the same value",
    "apply --server-side --field-manager=two -f -",
    "configmap/shared serverside-applied",
    shared("{a: x}"),
  ),
  step(
    "two applies another",
    "apply --server-side --field-manager=two -f -",
    /Apply failed with 1 conflict: conflict with "one"(: | using v1:\s+)\.data\.a/,
    { ...shared("{a: z}"), exit: 1 },
  ),
  step(
    "two applies by force",
    "apply --server-side --field-manager=two --force-conflicts -f -",
    "configmap/shared serverside-applied",
    shared("{a: z}"),
  ),
  step(
    "one applies again",
    "apply --server-side --field-manager=one --dry-run=server -f -",
    /conflict with "two"(: | using v1:\s+)\.data\.a/,
    { ...shared("{a: x, b: x}"), exit: 1 },
  ),
  step("one gives b up", "apply --server-side --field-manager=one -f -", "configmap/shared serverside-applied", shared("{c: x}")),
  step("what is left", "get configmap shared -o 'jsonpath={.data}'", /^({"a":"z","c":"x"}|map\[a:z c:x\])$/),
  step("who wrote what", "get configmap shared -o yaml --show-managed-fields", /^ manager: two$/m, { since: 21 }),
  step("a change by the way", "label configmap shared by=hand --field-manager=hand", "configmap/shared labeled", { since: 21 }),
  step(
    "a conflict with that",
    "apply --server-side --field-manager=one -f -",
    /conflict with "hand" using v1:\s+\.metadata\.labels\.by/,
    { ...shared("{c: x}", ", labels: {by: apply}"), exit: 1, since: 21 },
  ),
  step("applied on the client", "apply -f -", "configmap/kept created", {
    stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, labels: {part: one}}\ndata: {a: b}\n",
  }),
  step("what was applied last", "apply view-last-applied configmap/kept", /^data:\n a: b$/m),
  step("another that goes with it", "apply -f -", "configmap/pruned created", {
    stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pruned, labels: {part: one}}\n",
  }),
  step("what isn't applied again goes", "apply --prune -l part=one -f -", /^configmap\/kept unchanged\nconfigmap\/pruned pruned/, {
    stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, labels: {part: one}}\ndata: {a: b}\n",
    // Older ones look for kinds that are gone from the API.
    since: 25,
  }),
  step(
    "set what was applied",
    "apply set-last-applied --create-annotation -f -",
    /^configmap\/shared configured/,
    shared("{a: z}"),
  ),
  step("an edit that changes nothing", "edit configmap kept", "Edit cancelled, no changes made.", { env: { KUBE_EDITOR: "true" } }),
  step("edit what was applied", "apply edit-last-applied configmap/kept", "configmap/kept edited", {
    env: { KUBE_EDITOR: "sed -i s/a:.b$/a:\\x20c/" },
  }),
  step(
    "replaced as a whole",
    "replace --force -f -",
    /^configmap "kept" deleted( from {ns} namespace)?\nconfigmap\/kept replaced$/,
    {
      stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {z: z}\n",
    },
  ),
  step("as it is now", "get configmap kept -o yaml", /^ z: z$/m),
];
