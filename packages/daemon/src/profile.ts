/** `shipside.yaml` and saved profiles: reading, planning, saving. Opens nothing and asks no cluster. */
export { changesOf, type ProfileChanges } from "./profile/changes.ts";
export { PROFILE_KINDS, type ProfileEntry, type ProfileKind } from "./profile/kinds.ts";
export { type PlannedEntry, type PlanOptions, type ProfilePlan, planFile, planText } from "./profile/plan.ts";
export type { ProfileIssue } from "./profile/read.ts";
export {
  PROFILE_FILES,
  profilePath,
  profilesDir,
  renderProfile,
  type SavedProfile,
  savedProfiles,
  saveProfile,
} from "./profile/saved.ts";
export { PROFILE_SCHEMA_URL, profileSchema } from "./profile/schema.ts";
export { assertTrusted, type Distrust, distrusted, type TrustOptions } from "./profile/trust.ts";
