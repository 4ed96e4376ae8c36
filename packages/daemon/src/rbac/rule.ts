/** One right that a command needs, as a Role states it. Rules are data: what prints, reviews and tests them knows no command. */
export interface Rule {
  /** Where it is needed. Absent: at the cluster scope, so a ClusterRole has to state it. */
  namespace?: string;
  /** "" for the core group. */
  group: string;
  /** `pods`, or `pods/portforward`. */
  resource: string;
  verbs: readonly string[];
  /** These objects alone. Absent: all, because no name is known before the cluster is asked. */
  names?: readonly string[];
  /** What it is for, in a few words. */
  why: string;
  /** What is missing without it. Absent: without it the command fails. */
  optional?: string;
}

/** One verb on one resource: what an access review asks about. */
export interface Right extends Omit<Rule, "verbs" | "names"> {
  verb: string;
  name?: string;
}

/** Each right by itself, in the rules' order. */
export const rightsOf = (rules: readonly Rule[]): Right[] =>
  rules.flatMap(({ verbs, names, ...rule }) =>
    verbs.flatMap((verb) => (names ?? [undefined]).map((name) => ({ ...rule, verb, ...(name !== undefined && { name }) }))),
  );

/** `create pods/portforward in namespace shop`, `get nodes`. */
export function describeRight({ verb, group, resource, name, namespace }: Right): string {
  const what = `${resource}${group && `.${group}`}${name === undefined ? "" : ` "${name}"`}`;
  return `${verb} ${what}${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
}

/**
 * Says each thing once: verbs of the same objects come together, and what is required of an object is not optional as well. In the order
 * in which objects are first named.
 */
export function mergeRules(rules: readonly Rule[]): Rule[] {
  const merged = new Map<string, Rule>();
  for (const rule of rules.toSorted((a, b) => Number(a.optional !== undefined) - Number(b.optional !== undefined))) {
    const { optional, ...required } = rule;
    const known = optional === undefined ? undefined : merged.get(keyOf(required));
    const verbs = rule.verbs.filter((verb) => !known?.verbs.includes(verb));
    if (verbs.length === 0) continue;
    const key = keyOf(rule);
    const before = merged.get(key);
    merged.set(key, before ? { ...before, verbs: [...new Set([...before.verbs, ...verbs])] } : { ...rule, verbs });
  }
  return [...merged.values()];
}

const keyOf = ({ namespace, group, resource, names, optional }: Rule): string =>
  JSON.stringify([namespace, group, resource, names, optional]);
