import type { KubeJson } from "../store.ts";
import { badRequest } from "./status.ts";

export type Match = (object: KubeJson) => boolean;

export interface LabelRequirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  values: readonly string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/**
 * Label selectors as in query strings: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, `a>1`, `a<1`, joined by commas
 * (apimachinery's labels.Parse). Throws Status 400.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  const tokens = text.match(/==|!=|[=!(),<>]|[^\s=!(),<>]+/g) ?? [];
  const requirements: LabelRequirement[] = [];
  let at = 0;
  const fail = (expected: string): never => {
    throw badRequest(`unable to parse requirement: found '${tokens[at] ?? ""}', expected: ${expected}`);
  };
  const isWord = (token: string | undefined): token is string => token !== undefined && !/^(==|!=|[=!(),<>])$/.test(token);
  const value = (): string => {
    if (tokens[at] === undefined || tokens[at] === ",") return "";
    return isWord(tokens[at]) ? checkValue(tokens[at++]!) : fail("identifier");
  };
  while (at < tokens.length) {
    const absent = tokens[at] === "!";
    if (absent) at++;
    if (!isWord(tokens[at])) fail(absent ? "identifier" : "!, identifier, or 'end of string'");
    const key = checkKey(tokens[at++]!);
    const operator = tokens[at];
    if (absent || operator === undefined || operator === ",")
      requirements.push({ key, operator: absent ? "DoesNotExist" : "Exists", values: [] });
    else if (operator === "=" || operator === "==" || operator === "!=") {
      at++;
      requirements.push({ key, operator: operator === "!=" ? "NotIn" : "In", values: [value()] });
    } else if (operator === ">" || operator === "<") {
      at++;
      const bound = value();
      if (!/^-?\d+$/.test(bound))
        throw badRequest(
          `unable to parse requirement: values[0][${key}]: Invalid value: "${bound}": for 'Gt', 'Lt' operators, the value must be an integer`,
        );
      requirements.push({ key, operator: operator === ">" ? "Gt" : "Lt", values: [bound] });
    } else if (operator === "in" || operator === "notin") {
      at++;
      if (tokens[at] !== "(") fail("'('");
      at++;
      const values: string[] = [];
      for (;;) {
        if (isWord(tokens[at])) values.push(checkValue(tokens[at++]!));
        else if (tokens[at] === "," || (tokens[at] === ")" && values.length === 0)) values.push("");
        if (tokens[at] === ",") {
          at++;
          if (tokens[at] === ")") values.push("");
          continue;
        }
        if (tokens[at] !== ")") fail("',', ')' or identifier");
        at++;
        break;
      }
      requirements.push({ key, operator: operator === "in" ? "In" : "NotIn", values });
    } else fail("in, notin, =, ==, !=, gt, lt");
    if (at < tokens.length) {
      if (tokens[at] !== ",") fail("',' or 'end of string'");
      at++;
      if (at >= tokens.length) fail("identifier after ','");
    }
  }
  return requirements;
}

const QUALIFIED =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/;
const VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

function checkKey(key: string): string {
  if (QUALIFIED.test(key)) return key;
  throw badRequest(
    `unable to parse requirement: <nil>: Invalid value: "${key}": name part must consist of alphanumeric characters, '-', '_' or '.', ` +
      "and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
      "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
  );
}

function checkValue(value: string): string {
  if (VALUE.test(value) && value.length <= 63) return value;
  throw badRequest(
    `unable to parse requirement: values[0][]: Invalid value: "${value}": a valid label must be an empty string or consist of alphanumeric ` +
      "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', " +
      "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
  );
}

export function matchesLabels(requirements: readonly LabelRequirement[], labels: Labels): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels?.[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      case "Gt":
        return value !== undefined && Number(value) > Number(values[0]);
      case "Lt":
        return value !== undefined && Number(value) < Number(values[0]);
    }
    return false;
  });
}

/** A `LabelSelector` of an object (matchLabels, matchExpressions) as requirements. An absent one matches nothing. */
export function labelSelectorRequirements(
  selector:
    | { matchLabels?: Record<string, string>; matchExpressions?: Array<{ key: string; operator: string; values?: string[] }> }
    | undefined,
): LabelRequirement[] | undefined {
  if (!selector) return undefined;
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(
      ([key, value]): LabelRequirement => ({ key, operator: "In", values: [value] }),
    ),
    ...(selector.matchExpressions ?? []).map(
      ({ key, operator, values }): LabelRequirement => ({
        key,
        operator: operator as LabelRequirement["operator"],
        values: values ?? [],
      }),
    ),
  ];
}

/** Fields that a selector may name, beyond metadata.name and metadata.namespace. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  services: ["spec.clusterIP", "spec.type"],
  secrets: ["type"],
  namespaces: ["status.phase"],
  nodes: ["spec.unschedulable"],
  replicationcontrollers: ["status.replicas"],
  events: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  "jobs.batch": ["status.successful"],
  "replicasets.apps": ["status.replicas"],
};

/** The field's value as a selector compares it: absent is "", false or 0. */
function fieldValue(object: KubeJson, path: string): string {
  if (path === "source") return String(object["source"]?.component ?? object["reportingComponent"] ?? "");
  let value: unknown = object;
  for (const part of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[part];
  if (value !== undefined) return String(value);
  if (path === "status.replicas" || path === "status.successful") return "0";
  if (path === "spec.unschedulable" || path === "spec.hostNetwork") return "false";
  return "";
}

/** Field selectors: `a=b`, `a==b`, `a!=b`, joined by commas; `\` escapes. Throws Status 400 where the kind doesn't have the field. */
export function parseFieldSelector(resource: string, text: string): { match: Match; name?: string } {
  const allowed = new Set(["metadata.name", "metadata.namespace", ...(FIELDS[resource] ?? [])]);
  const terms: Array<{ path: string; value: string; equal: boolean }> = [];
  for (const term of text.split(/(?<!\\),/)) {
    if (term === "") continue;
    const parsed = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    if (!parsed) throw badRequest(`invalid field selector: "${term}"; can't understand '${term}'`);
    const path = parsed[1]!.trim();
    if (!allowed.has(path)) {
      throw badRequest(
        FIELDS[resource]
          ? `field label not supported: ${path}`
          : `"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
      );
    }
    terms.push({ path, value: parsed[3]!.replace(/\\(.)/g, "$1"), equal: parsed[2] !== "!=" });
  }
  const name = terms.find((term) => term.equal && term.path === "metadata.name")?.value;
  return {
    match: (object) => terms.every(({ path, value, equal }) => (fieldValue(object, path) === value) === equal),
    ...(name !== undefined && { name }),
  };
}

/** Both selectors of a list, watch or deletecollection. */
export function selection(resource: string, query: URLSearchParams): { match: Match; empty: boolean; name?: string } {
  const labels = parseLabelSelector(query.get("labelSelector") ?? "");
  const fields = query.get("fieldSelector") ? parseFieldSelector(resource, query.get("fieldSelector")!) : undefined;
  if (labels.length === 0 && !fields) return { match: () => true, empty: true };
  return {
    match: (object) => matchesLabels(labels, object.metadata.labels) && (!fields || fields.match(object)),
    empty: false,
    ...(fields?.name !== undefined && { name: fields.name }),
  };
}
