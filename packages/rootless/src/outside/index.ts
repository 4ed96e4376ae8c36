export {
  type HostPort,
  type OutsideKind,
  type OutsideOptions,
  type OutsideWorld,
  openOutsideWorld,
} from "./outside-world.ts";
export { findProgram } from "./program.ts";
