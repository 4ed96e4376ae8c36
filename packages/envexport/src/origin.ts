import type { EnvOrigin } from "@shipside/core";

/** Where a value comes from, in words. */
export function describeOrigin(origin: EnvOrigin): string {
  switch (origin.from) {
    case "literal":
      return `spec of container ${origin.container}`;
    case "configMap":
      return `ConfigMap ${origin.name}, key ${origin.key}`;
    case "secret":
      return `Secret ${origin.name}, key ${origin.key}`;
    case "field":
      return origin.pod === undefined ? origin.path : `${origin.path} of pod ${origin.pod}`;
    case "resource":
      return `${origin.resource} of container ${origin.container}`;
    case "file":
      return `file ${origin.path} in volume ${origin.volume}, key ${origin.key}`;
    case "service":
      return `Service ${origin.namespace}/${origin.name}`;
    case "image":
      return `image or entrypoint, in pod ${origin.pod}`;
    case "plugin":
      return `plugin ${origin.plugin}`;
    case "local":
      return origin.where;
  }
}
