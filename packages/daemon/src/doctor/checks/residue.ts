import { residueLeft } from "../../recover.ts";
import { type Check, count, ok, some, warning } from "../check.ts";

/** What processes that are gone have left. */
export const residue: Check = {
  id: "residue",
  title: "residue",
  async run({ stateDir }) {
    const all = await residueLeft(stateDir);
    const left = all.filter(({ alive }) => !alive).map(({ what }) => what);
    const held = all.length - left.length;
    if (left.length > 0) return [warning(`a shipside that is gone left ${some(left)}`, "`shipside clean` undoes that", { left })];
    return [ok(held === 0 ? "nothing was left behind" : `nothing but what open sessions have (${count(held, "thing")})`, { held })];
  },
};
