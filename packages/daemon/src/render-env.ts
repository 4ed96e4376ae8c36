import type { EnvEntry } from "@shipside/core";
import { formatNamed } from "@shipside/envexport";

/** An env as text in one of the formats. Throws `ENV_FORMAT_UNKNOWN`, `ENV_UNREPRESENTABLE`. */
export const renderEnv = (entries: readonly EnvEntry[], format: string): string => formatNamed(format).render(entries);
