/** What is well and what isn't, for `shipside doctor`: looks at everything, changes nothing. */
export { writeBundle } from "./doctor/bundle/bundle.ts";
export { type Check, type Finding, LEVELS, type Level } from "./doctor/check.ts";
export { CHECKS } from "./doctor/checks.ts";
export type { DoctorContext, DoctorOptions } from "./doctor/context.ts";
export { type DoctorLine, type DoctorReport, runDoctor } from "./doctor/run.ts";
