import { setTimeout as sleep } from "node:timers/promises";
import type { RequestFacts, RequestFault } from "../api/faults.ts";
import { type Status, StatusError } from "../api/status.ts";
import type { AnswerOptions, FaultScope, Faults, Undo } from "../faults.ts";

type Rule = (facts: RequestFacts) => RequestFault | Promise<RequestFault>;

/** Faults of single requests: late, or answered with an error. */
export interface Rules extends Pick<Faults, "delay" | "expireVersions" | "throttle" | "fail" | "expireCredentials"> {
  /** What happens to a request, by the first rule that says so. */
  apply(facts: RequestFacts): Promise<RequestFault>;
}

export function createRules(): Rules {
  const rules = new Set<Rule>();

  const add = (rule: Rule): Undo => {
    rules.add(rule);
    return () => void rules.delete(rule);
  };

  const answer = (status: () => Status, headers: Record<string, string>, { resource, verbs, times }: AnswerOptions): Undo => {
    let left = times ?? Number.POSITIVE_INFINITY;
    const undo = add((facts) => {
      if (resource !== undefined && facts.resource !== resource) return undefined;
      if (verbs && !verbs.includes(facts.verb)) return undefined;
      if (--left <= 0) undo();
      const body = status();
      return { status: body.code, headers, body };
    });
    return undo;
  };

  return {
    delay: (ms, scope = "all") =>
      add(async (facts) => {
        if (scope === "all" || scope === kindOf(facts)) await sleep(ms);
        return undefined;
      }),
    expireVersions: (options = {}) =>
      answer(
        () => new StatusError(410, "Expired", "too old resource version: 1 (2)").status,
        {},
        { verbs: ["list", "watch"], times: 1, ...options },
      ),
    throttle({ retryAfterSeconds = 1, ...options } = {}) {
      const message = "The apiserver has received too many requests. Please try again later.";
      return answer(
        () => new StatusError(429, "TooManyRequests", message, { retryAfterSeconds }).status,
        { "Retry-After": String(retryAfterSeconds) },
        options,
      );
    },
    fail({ status = 500, ...options } = {}) {
      const [reason, message] =
        status === 503
          ? ["ServiceUnavailable", "the server is currently unable to handle the request"]
          : status === 504
            ? [
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
              ]
            : ["InternalError", "Internal error occurred: etcdserver: request timed out"];
      return answer(() => new StatusError(status, reason!, message!).status, {}, options);
    },
    expireCredentials: (user) =>
      add((facts) => {
        if (user !== undefined && facts.user !== user) return undefined;
        return { status: 401, body: new StatusError(401, "Unauthorized", "Unauthorized").status };
      }),
    async apply(facts) {
      for (const rule of [...rules]) {
        const fault = await rule(facts);
        if (fault) return fault;
      }
      return undefined;
    },
  };
}

/** What a request's connection is used for. */
export function kindOf(facts: RequestFacts): Exclude<FaultScope, "all"> | undefined {
  if (facts.subresource === "portforward") return "portforward";
  return facts.watch ? "watch" : undefined;
}
