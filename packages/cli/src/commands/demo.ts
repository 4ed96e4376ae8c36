import type { CommandModule } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

export const run: CommandModule["run"] = async (_invocation, _terminal) => EXIT.ok;
