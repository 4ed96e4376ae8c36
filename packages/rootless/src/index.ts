export type { ListeningSocket } from "./agent/requests.ts";
export { ROOTLESS_ERRORS, rootlessError } from "./errors.ts";
export {
  type MountOptions,
  type Namespace,
  type NamespaceCommand,
  type NamespaceOptions,
  openNamespace,
  type RunOptions,
} from "./namespace.ts";
export { findObstacle, type ObstacleOptions } from "./obstacle.ts";
