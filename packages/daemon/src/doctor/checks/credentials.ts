import { errorToJson, hasCode } from "@shipside/core";
import type { AuthFact } from "@shipside/kube";
import { type Check, type Finding, ok, problem, warning } from "../check.ts";

const SOON_MS = 24 * 3_600_000;

/** How the kubeconfig's user proves who they are, how long that lasts, and whether the server takes it. */
export const credentials: Check = {
  id: "credentials",
  title: "credentials",
  async run(context) {
    const facts = await context.facts().catch(() => undefined);
    if (!facts) return [];
    const findings = facts.auth.map((fact) => judge(fact, Date.now()));
    const { user } = facts.info;
    if (facts.auth.length === 0)
      findings.push(warning(`user ${user || "(none)"} has no credentials`, "log in with your cluster's tool"));
    if (facts.as !== undefined) findings.push(ok(`acts as ${facts.as} (impersonation)`));
    const answered = await context.answer().then(
      ({ foreign }) => !foreign,
      () => false,
    );
    if (!answered) return findings;
    try {
      await context.version();
      findings.push(ok("the API server takes them"));
    } catch (error) {
      if (hasCode(error, "KUBE_FORBIDDEN")) return [...findings, ok("the API server takes them")];
      const { code, message, hint } = errorToJson(error);
      findings.push(problem(message, hint ?? "log in again", { code }));
    }
    return findings;
  },
};

function judge(fact: AuthFact, now: number): Finding {
  switch (fact.kind) {
    case "client-certificate": {
      const { subject, notBefore, notAfter } = fact;
      const details = { kind: fact.kind, subject, notBefore, notAfter };
      if (notBefore.getTime() > now)
        return problem(
          `the client certificate (${subject}) is not valid before ${notBefore.toISOString()}`,
          "is this machine's clock right?",
          details,
        );
      return ending(`the client certificate (${subject})`, notAfter, now, details);
    }
    case "token": {
      const what = fact.file === undefined ? "the token" : `the token in ${fact.file}`;
      const details = { ...fact };
      return fact.expires ? ending(what, fact.expires, now, details) : ok(`${what} doesn't say when it ends`, details);
    }
    case "plugin": {
      const { command, path, installHint } = fact;
      const details = { kind: fact.kind, command, path: path ?? null };
      if (path !== undefined) return ok(`credential plugin ${path}`, details);
      const hint = installHint?.trim() || "install it, or let PATH have its folder";
      return problem(`the credential plugin ${command} is not installed or not in PATH`, hint, details);
    }
    case "auth-provider": {
      const what = `the auth provider ${fact.name}`;
      // A refresh token makes a new one: its end is no fault.
      return fact.expires && fact.expires.getTime() > now
        ? ok(`${what}, its token until ${fact.expires.toISOString()}`, { ...fact })
        : ok(what, { ...fact });
    }
    case "basic":
      return warning("user name and password", "Kubernetes has taken these no more since 1.19: log in another way", { ...fact });
    case "broken":
      return problem(fact.what, "log in again with your cluster's tool, which writes it anew", { kind: fact.kind });
  }
}

function ending(what: string, end: Date, now: number, details: Record<string, unknown>): Finding {
  const left = end.getTime() - now;
  if (left <= 0) return problem(`${what} has expired (${end.toISOString()})`, "log in again", details);
  if (left < SOON_MS) return warning(`${what} ends soon (${end.toISOString()})`, "log in again before long", details);
  return ok(`${what} is good until ${end.toISOString()}`, details);
}
