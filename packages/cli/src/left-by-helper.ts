import { type DaemonOwner, daemonOwner, helperLeft, readHelperRecord, tryConnectControl } from "@shipside/daemon/client";

/**
 * What a helper that was killed has left, in words, and whose it is. Undefined where there is nothing, where the helper still runs, and
 * where a daemon does: what it has open is nobody's residue.
 */
export async function leftByHelper(): Promise<{ owner: DaemonOwner; left: string[] } | undefined> {
  const owner = daemonOwner();
  const record = await readHelperRecord();
  if (!owner || (await record?.running())) return undefined;
  const daemon = await tryConnectControl({ anyVersion: true }).catch(() => undefined);
  await daemon?.close();
  if (daemon) return undefined;
  const left = await helperLeft(owner.uid, { recorded: record !== undefined });
  if (left.length > 0) return { owner, left };
  await record?.clear();
  return undefined;
}
