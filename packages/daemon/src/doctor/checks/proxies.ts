import { withoutPassword } from "@shipside/kube";
import { type Check, type Finding, ok, warning } from "../check.ts";

const VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/** What programs that are run with a session ask for. */
const CLUSTER = [".svc", ".cluster.local"];

/** Proxies on the way to the API server, and those that would take away what is meant for the cluster's services. */
export const proxies: Check = {
  id: "proxies",
  title: "proxies",
  async run({ env, facts }) {
    const read = (name: string): string => env[name.toLowerCase()] || env[name] || "";
    const findings: Finding[] = [];
    const proxy = (await facts().catch(() => undefined))?.proxy;
    if (proxy) findings.push(ok(`the API server is asked through ${proxy.url} (named by the ${proxy.from})`, { ...proxy }));
    const set = VARIABLES.filter((name) => read(name) !== "");
    if (set.length === 0) return findings.length > 0 ? findings : [ok("none")];
    const excluded = read("NO_PROXY")
      .split(",")
      .map((entry) =>
        entry
          .trim()
          .toLowerCase()
          .replace(/^\*(?=\.)/, ""),
      );
    const covers = (...wanted: string[]): boolean => excluded.includes("*") || wanted.some((each) => excluded.includes(each));
    const uncovered = [
      ...(covers("127.0.0.0/8", "127.0.0.1", "127.") ? [] : ["127.0.0.0/8"]),
      ...(covers("localhost") ? [] : ["localhost"]),
      ...CLUSTER.filter((suffix) => !covers(suffix, suffix.slice(1))),
    ];
    const shown = set.map((name) => `${name}=${withoutPassword(read(name))}`).join(", ");
    if (uncovered.length === 0) return [...findings, ok(`${shown}; not for this machine's own addresses`)];
    return [
      ...findings,
      warning(
        `${shown}: programs send requests to the cluster's services there`,
        `add to NO_PROXY: ${uncovered.join(",")} and the services' short names`,
        { variables: set, uncovered },
      ),
    ];
  },
};
