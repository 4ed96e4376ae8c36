import { parseMatch, parsePort } from "@shipside/proxy";
import { developer } from "./developer.ts";
import type { SessionExposeOptions, SessionInterceptOptions, SessionOptions } from "./session-info.ts";
import type { Invalid } from "./session-options.ts";

type Common = Pick<SessionExposeOptions, "service" | "ports" | "graceSeconds" | "image">;

function checkCommon(given: unknown, kind: string, invalid: Invalid): Common {
  if (typeof given !== "object" || given === null) throw invalid(kind, "must be an object", "see SessionOptions");
  const { service, ports, graceSeconds, image } = given as Record<string, unknown>;
  if (typeof service !== "string" || service === "") throw invalid(`${kind}.service`, "must be a Service's name", 'such as "web"');
  if (!SERVICE_NAME.test(service))
    throw invalid(`${kind}.service`, `is ${JSON.stringify(service)}`, "lower case letters, digits and `-`, at most 63 of them");
  const checked: Common = { service };
  if (ports !== undefined) {
    checked.ports = texts(ports, `${kind}.ports`, invalid, 'such as ["80:8080"]');
    const named = checked.ports.map(parsePort).map(({ remote, protocol = "TCP" }) => `${remote}/${protocol.toLowerCase()}`);
    const twice = named.find((name, i) => named.indexOf(name) !== i);
    if (twice !== undefined)
      throw invalid(`${kind}.ports`, `name ${twice} twice`, "each of the Service's ports goes to one port of this machine");
  }
  const grace = number(graceSeconds, `${kind}.graceSeconds`, 1, 86_400, invalid);
  if (grace !== undefined) checked.graceSeconds = grace;
  if (image !== undefined) {
    if (typeof image !== "string" || image === "")
      throw invalid(`${kind}.image`, "must be an image's name", 'such as "node:24-slim"');
    checked.image = image;
  }
  return checked;
}

/** An RFC 1123 label. */
const SERVICE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Throws `SESSION_OPTIONS`, `PROXY_OPTION_INVALID`. */
export function checkExpose(given: unknown, invalid: Invalid): SessionExposeOptions {
  const { workload } = (given ?? {}) as Record<string, unknown>;
  if (workload !== undefined && (typeof workload !== "string" || workload === ""))
    throw invalid("expose.workload", "must be a workload", "such as deployment/core");
  const checked = { ...checkCommon(given, "expose", invalid), ...(typeof workload === "string" && { workload }) };
  if (!checked.ports?.length && workload === undefined)
    throw invalid("expose.ports", "are missing", "--port 80:8080, or --workload deployment/x for its ports");
  return checked;
}

/** Throws `SESSION_OPTIONS`, `PROXY_OPTION_INVALID`. */
export function checkIntercept(given: unknown, invalid: Invalid): SessionInterceptOptions {
  const checked: SessionInterceptOptions = checkCommon(given, "intercept", invalid);
  const options = given as Record<string, unknown>;
  for (const name of ["tcp", "mirror", "takeOver"] as const) {
    if (options[name] === undefined) continue;
    if (typeof options[name] !== "boolean") throw invalid(`intercept.${name}`, "must be true or false", "leave it out for false");
    checked[name] = options[name];
  }
  const { tlsSecret } = options;
  if (tlsSecret !== undefined) {
    if (typeof tlsSecret !== "string" || tlsSecret === "")
      throw invalid(
        "intercept.tlsSecret",
        "must be a Secret's name",
        "`kubectl get secrets` lists those of type kubernetes.io/tls",
      );
    checked.tlsSecret = tlsSecret;
  }
  const holdMs = number(options["holdMs"], "intercept.holdMs", 0, 86_400_000, invalid);
  if (holdMs !== undefined) checked.holdMs = holdMs;
  if (options["match"] !== undefined) {
    const words = options["match"];
    if (typeof words !== "object" || words === null) throw invalid("intercept.match", "must be an object", "see MatchWords");
    const { headers, path, methods, baggage, user, all } = words as Record<string, unknown>;
    const hint = 'such as { headers: ["x-user: alice"] }';
    if (path !== undefined && typeof path !== "string") throw invalid("intercept.match.path", "must be a string", hint);
    for (const [name, value] of Object.entries({ user, all }))
      if (value !== undefined && typeof value !== "boolean")
        throw invalid(`intercept.match.${name}`, "must be true or false", hint);
    checked.match = {
      ...(headers !== undefined && { headers: texts(headers, "intercept.match.headers", invalid, hint) }),
      ...(path !== undefined && { path }),
      ...(methods !== undefined && { methods: texts(methods, "intercept.match.methods", invalid, hint) }),
      ...(baggage !== undefined && { baggage: texts(baggage, "intercept.match.baggage", invalid, hint) }),
      ...(user === true && { user }),
      ...(all === true && { all }),
    };
    parseMatch(checked.match, developer());
  }
  if (checked.tcp && !checked.match?.all)
    throw invalid(
      "intercept.tcp",
      "takes connections as a whole, which can't be told apart by what they say",
      "--tcp goes with --all",
    );
  if (checked.tcp && checked.mirror)
    throw invalid("intercept.mirror", "copies requests of HTTP, and --tcp is for what is none", "leave one of the two out");
  return checked;
}

function texts(given: unknown, option: string, invalid: Invalid, hint: string): string[] {
  if (Array.isArray(given) && given.every((each) => typeof each === "string")) return given;
  throw invalid(option, "must be a list of texts", hint);
}

function number(given: unknown, option: string, least: number, most: number, invalid: Invalid): number | undefined {
  if (given === undefined || (typeof given === "number" && given >= least && given <= most)) return given;
  throw invalid(option, `is ${JSON.stringify(given)}`, `a number from ${least} to ${most}`);
}

/** What makes two of them the same, however it was written. Taking over is a way to begin, no part of what it is. */
export function incomingKey({ expose, intercept }: SessionOptions): unknown {
  if (expose) return [expose.service, expose.workload, expose.ports?.map(parsePort), expose.graceSeconds, expose.image];
  if (!intercept) return undefined;
  const { service, ports, match = {}, tcp, tlsSecret, mirror, holdMs, graceSeconds, image } = intercept;
  return [service, ports?.map(parsePort), parseMatch(match, developer()), tcp, tlsSecret, mirror, holdMs, graceSeconds, image];
}
