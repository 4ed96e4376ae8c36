import { StatusError } from "./status.ts";

/** In which form a client wants an answer. */
export type Form =
  | { as: "object"; yaml: boolean }
  | { as: "table"; group: string; version: string }
  | { as: "partial"; version: string }
  | { as: "discovery"; version: "v2" | "v2beta1" };

/** The first form that `Accept` names and we have. Throws Status 406. */
export function negotiate(accept: string | undefined): Form {
  if (!accept) return { as: "object", yaml: false };
  for (const clause of accept.split(",")) {
    const [type = "", ...parameters] = clause.split(";").map((part) => part.trim());
    const given = Object.fromEntries(parameters.map((parameter) => parameter.split("=", 2)));
    const json = type === "application/json" || type === "*/*" || type === "application/*";
    if (given["as"]) {
      if (!json) continue;
      if (given["as"] === "Table" && given["g"] === "meta.k8s.io")
        return { as: "table", group: given["g"], version: given["v"] ?? "v1" };
      if (/^PartialObjectMetadata(List)?$/.test(given["as"]) && given["g"] === "meta.k8s.io")
        return { as: "partial", version: given["v"] ?? "v1" };
      if (given["as"] === "APIGroupDiscoveryList" && (given["v"] === "v2" || given["v"] === "v2beta1"))
        return { as: "discovery", version: given["v"] };
      continue;
    }
    if (json) return { as: "object", yaml: false };
    if (type === "application/yaml") return { as: "object", yaml: true };
  }
  throw new StatusError(
    406,
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml",
    {},
  );
}
