import { errorToJson } from "@shipside/core";
import { type Check, type Finding, ok, problem, warning } from "../check.ts";

/** `discovery.k8s.io/v1`, which has the EndpointSlices that a tunnel follows. */
const OLDEST_MINOR = 21;

/** Whether the API server can be reached, and which it is. */
export const server: Check = {
  id: "server",
  title: "API server",
  async run(context) {
    const facts = await context.facts().catch(() => undefined);
    if (!facts) return [];
    const { server: url } = facts.info;
    const findings: Finding[] = [];
    try {
      const { answeredMs, foreign } = await context.answer();
      if (foreign) {
        const does = "location" in foreign ? `leads elsewhere: ${shown(foreign.location)}` : "is a web page";
        return [
          problem(
            `something else answers at ${url} in the API server's place: its answer ${does}`,
            "a network that wants a login first (open any page in a browser), or a VPN's or proxy's own page: log in there, then try again",
            { server: url, foreign },
          ),
        ];
      }
      const version = await context.version().catch(() => undefined);
      const text = `${url} answers in ${answeredMs} ms${version ? `, Kubernetes ${version.gitVersion}` : ""}`;
      findings.push(ok(text, { server: url, answeredMs, ...(version && { version: version.gitVersion }) }));
      if (version && Number(version.major) === 1 && Number.parseInt(version.minor, 10) < OLDEST_MINOR)
        findings.push(
          problem(
            `Kubernetes ${version.gitVersion} is older than 1.${OLDEST_MINOR}`,
            "services can't be followed there: use a newer cluster",
          ),
        );
    } catch (error) {
      const { code, message, hint } = errorToJson(error);
      findings.push(problem(message, hint ?? "is the cluster running, and the VPN that leads to it?", { code, server: url }));
    }
    if (facts.insecure)
      findings.push(
        warning(
          "its certificate is not checked (insecure-skip-tls-verify)",
          "give the kubeconfig the cluster's certificate-authority: anybody on the way can read your credentials",
        ),
      );
    return findings;
  },
};

/** Of a URL that a stranger gave: no control characters, and no more than says where. */
const shown = (location: string): string =>
  location
    .replace(/[^\x21-\x7e]/g, "")
    .split(/[?#]/, 1)[0]!
    .slice(0, 200);
