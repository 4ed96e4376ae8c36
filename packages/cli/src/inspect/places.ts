import { connectSessionHosts, type InspectorPlace, type SessionInfo } from "@shipside/daemon/client";
import { cliError } from "../errors.ts";

/** The inspector of one process. */
export interface FoundInspector extends InspectorPlace {
  pid: number;
  /** What it shows, in a few words each. */
  sessions: string[];
}

/** Those of this user's processes, the daemon's first. Throws `NOTHING_TO_INSPECT`. */
export async function findInspectors(): Promise<FoundInspector[]> {
  const { clients } = await connectSessionHosts();
  const found = await Promise.all(
    clients.map(async (client): Promise<FoundInspector | undefined> => {
      try {
        // An older process knows no such method.
        const place = (await client.call("inspector").catch(() => null)) as InspectorPlace | null;
        if (!place) return undefined;
        const sessions = (await client.call("session.list")) as SessionInfo[];
        return {
          ...place,
          pid: client.hello.pid,
          sessions: sessions.map(({ kind, workload, namespace }) => `${kind} ${workload ?? namespace}`),
        };
      } finally {
        await client.close();
      }
    }),
  );
  const inspectors = found.filter((each) => each !== undefined);
  if (inspectors.length > 0) return inspectors;
  throw cliError("NOTHING_TO_INSPECT", "nothing is open that has traffic to show", {
    hint: "open something first, as with `shipside intercept service/NAME` or `shipside teleport … --inspect`; with --no-capture there is no inspector",
  });
}
