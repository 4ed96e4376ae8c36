import { tryConnectControl } from "../../control/client.ts";
import { helperLeft, readHelperRecord } from "../../launch/record.ts";
import { controlPath } from "../../paths.ts";
import { residueLeft } from "../../recover.ts";
import { type Check, count, ok, some, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** What processes that are gone have left. */
export const residue: Check = {
  id: "residue",
  title: "residue",
  async run(context) {
    const all = await residueLeft(context.stateDir);
    const left = all.filter(({ alive }) => !alive).map(({ what }) => what);
    left.push(...(await leftByHelper(context)));
    const held = all.length - left.length;
    if (left.length > 0) return [warning(`a shipside that is gone left ${some(left)}`, "`shipside clean` undoes that", { left })];
    return [ok(held === 0 ? "nothing was left behind" : `nothing but what open sessions have (${count(held, "thing")})`, { held })];
  },
};

/** What only root can undo: a helper made it that is gone, and so is the daemon that had a use for it. */
async function leftByHelper({ stateDir, runtimeDir, hostsPath }: DoctorContext): Promise<string[]> {
  const uid = process.getuid?.();
  const record = await readHelperRecord(stateDir);
  if (uid === undefined || (await record?.running())) return [];
  const daemon = await tryConnectControl({ path: controlPath(runtimeDir), anyVersion: true }).catch(() => undefined);
  await daemon?.close();
  return daemon ? [] : helperLeft(uid, { hostsPath, recorded: record !== undefined });
}
