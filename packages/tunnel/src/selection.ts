import type { ServiceFacts } from "@shipside/core";

/**
 * Which services are wanted, by rules in order: of those that fit a service, the last one decides. A rule is
 *
 * - a name: `leaf` (of the home namespace), `leaf.shop`, `shop/leaf`, with `*` and `?` in either part: `leaf-*`, `*.shop`, `*.*`;
 * - a label selector as kubectl has it, in any namespace: `app=web,tier!=test`, `tier in (web, api)`;
 * - either of them after a `!`: not those.
 *
 * Where the first rule is an exclusion, everything else is in; where it isn't, nothing else is.
 */
export interface ServiceRules {
  admits(service: Pick<ServiceFacts, "namespace" | "name" | "labels">): boolean;
  /** Services named in full that no later rule takes out: they are expected to be there. */
  readonly named: ReadonlyArray<{ namespace: string; name: string }>;
  /** Namespaces in which something may be admitted, as far as the rules name them. */
  readonly namespaces: readonly string[];
  /** Some rule reaches beyond the namespaces that are named. */
  readonly open: boolean;
}

interface Rule {
  include: boolean;
  fits(service: Pick<ServiceFacts, "namespace" | "name" | "labels">): boolean;
  /** Of a rule for names. */
  name?: string;
  namespace?: string;
}

const isSelector = (text: string): boolean => /=|\s(not)?in\s*\(/.test(text);
const isLiteral = (pattern: string): boolean => !/[*?]/.test(pattern);

/** Why a text is no rule; undefined where it is one. */
export function ruleProblem(text: unknown): string | undefined {
  if (typeof text !== "string") return "is no text";
  try {
    parseRule(text, "home");
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What `rules` mean from the namespace `home`. Every rule must be one (`ruleProblem`). Pure. */
export function serviceRules(rules: readonly string[], home: string): ServiceRules {
  const parsed = rules.map((text) => parseRule(text, home));
  const byDefault = parsed[0]?.include !== true;
  const admits: ServiceRules["admits"] = (service) => parsed.findLast((rule) => rule.fits(service))?.include ?? byDefault;
  const including = parsed.filter(({ include }) => include);
  return {
    admits,
    named: including.flatMap(({ name, namespace }, at) => {
      if (name === undefined || namespace === undefined || !isLiteral(name) || !isLiteral(namespace)) return [];
      // A label could take it out: whether it does is known when it is there.
      const later = parsed.slice(parsed.indexOf(including[at]!) + 1);
      const doubted = later.some(
        (rule) => !rule.include && (rule.name === undefined || rule.fits({ namespace, name, labels: {} })),
      );
      return doubted ? [] : [{ namespace, name }];
    }),
    namespaces: [
      ...new Set(including.flatMap(({ namespace }) => (namespace !== undefined && isLiteral(namespace) ? [namespace] : []))),
    ],
    open: byDefault || including.some(({ namespace }) => namespace === undefined || !isLiteral(namespace)),
  };
}

function parseRule(text: string, home: string): Rule {
  const include = !text.startsWith("!");
  const body = (include ? text : text.slice(1)).trim();
  if (body === "") throw new Error("is empty");
  if (isSelector(body)) {
    const requirements = body.split(/,(?![^(]*\))/).map(parseRequirement);
    return { include, fits: ({ labels }) => requirements.every((holds) => holds(labels)) };
  }
  const [name = "", namespace = home, ...more] = body.includes("/")
    ? body.split("/").toReversed()
    : body.replace(/\.svc(\.cluster\.local)?\.?$/, "").split(".");
  if (more.length > 0 || !isPattern(name) || !isPattern(namespace))
    throw new Error('is neither a name ("web", "web.shop", "*.shop") nor a label selector ("app=web")');
  const [names, namespaces] = [glob(name), glob(namespace)];
  return { include, name, namespace, fits: (service) => names.test(service.name) && namespaces.test(service.namespace) };
}

/** A DNS label (RFC 1123) with wildcards. */
const isPattern = (text: string): boolean => /^[a-z0-9*?]([-a-z0-9*?]{0,61}[a-z0-9*?])?$/.test(text);

const glob = (pattern: string): RegExp => new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);

const KEY = String.raw`([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)`;
const EQUALS = new RegExp(String.raw`^${KEY}\s*(==?|!=)\s*([\w.-]*)$`);
const IN = new RegExp(String.raw`^${KEY}\s+(in|notin)\s*\(([\w.,\s-]*)\)$`);
const HAS = new RegExp(`^(!?)${KEY}$`);

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors: `!=` and `notin` hold without the key too. */
function parseRequirement(text: string): (labels: Readonly<Record<string, string>>) => boolean {
  const requirement = text.trim();
  const value = (labels: Readonly<Record<string, string>>, key: string): string | undefined =>
    Object.hasOwn(labels, key) ? labels[key] : undefined;
  const equals = EQUALS.exec(requirement);
  if (equals) {
    const [, key = "", operator, wanted] = equals;
    return (labels) => (value(labels, key) === wanted) === (operator !== "!=");
  }
  const among = IN.exec(requirement);
  if (among) {
    const [, key = "", operator, list = ""] = among;
    const values = new Set(list.split(",").map((each) => each.trim()));
    return (labels) => values.has(value(labels, key) as string) === (operator === "in");
  }
  const has = HAS.exec(requirement);
  if (has) {
    const [, not, key = ""] = has;
    return (labels) => (value(labels, key) !== undefined) === (not === "");
  }
  throw new Error(`is no label selector: ${JSON.stringify(requirement)} is not key=value, key!=value or key in (a, b)`);
}
