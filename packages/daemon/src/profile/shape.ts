import { list, type ObjectField } from "./fields.ts";
import { PROFILE_KINDS } from "./kinds.ts";
import { SERVICES, WHERE } from "./parts.ts";

/** The whole file. */
export const profileShape = (): ObjectField => ({
  type: "object",
  describe: "What `shipside up` opens together and `shipside down` closes.",
  fields: {
    ...WHERE,
    services: SERVICES,
    ...Object.fromEntries(PROFILE_KINDS.map(({ list: key, describe, shape }) => [key, list(describe, shape)])),
  },
});
