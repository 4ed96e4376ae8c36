// Writes packages/daemon/shipside.schema.json from the table that the parser of shipside.yaml reads too.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { profileSchema } from "@shipside/daemon/profile";

const path = "packages/daemon/shipside.schema.json";
writeFileSync(path, JSON.stringify(profileSchema(), undefined, 2));
execFileSync("biome", ["format", "--write", path], { stdio: "inherit" });
