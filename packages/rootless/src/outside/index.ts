export type { HostPort, OutsideKind, OutsideOptions, OutsideWorld } from "./outside-world.ts";
