import { connectControl } from "./control/client.ts";
import { foregroundPath } from "./control/hosts.ts";
import { daemonError } from "./errors.ts";
import type { NameConflict } from "./name-board.ts";
import { controlPath, runtimeDir } from "./paths.ts";
import type { SessionInfo } from "./session-info.ts";

/** How many names are told by name. */
const TOLD = 3;
/** Nobody waits long for another process to say what it does. */
const ASK_MS = 1_000;

/** "session a1b2c3 (teleport of deployment/core, namespace shop of dev)". */
function describeSession({
  id,
  name,
  kind,
  workload,
  namespace,
  context,
}: Pick<SessionInfo, "id" | "name" | "kind" | "workload" | "namespace" | "context">): string {
  return `session ${name ?? id} (${kind}${workload === undefined ? "" : ` of ${workload}`}, namespace ${namespace} of ${context})`;
}

export interface TakenNames {
  conflicts: readonly NameConflict[];
  namespace: string;
  /** Sessions of this process. */
  sessions: readonly SessionInfo[];
}

/** What to tell a session whose names others have: one `NAME_TAKEN` for each holder, and one for each line of the user's. */
export async function nameConflictErrors({ conflicts, namespace, sessions }: TakenNames): Promise<Error[]> {
  const held = new Map<string, NameConflict[]>();
  const errors: Error[] = [];
  for (const conflict of conflicts) {
    const { name, ours, theirs, session, owner } = conflict;
    const holder = session ?? owner;
    if (holder !== undefined) held.set(holder, [...(held.get(holder) ?? []), conflict]);
    else
      errors.push(
        daemonError("NAME_TAKEN", `${name} is ${theirs} by another line of the hosts file, not ${ours}`, {
          hint: `use ${longer(name, namespace)} instead, or take that line out`,
          details: { names: [name] },
        }),
      );
  }
  for (const [holder, theirs] of held) {
    const own = sessions.find(({ id }) => id === holder);
    const opening = theirs[0]?.session !== undefined;
    const who = own ? describeSession(own) : opening ? `session ${holder}, which is being opened` : await describeOwner(holder);
    const names = theirs.map(({ name }) => name);
    const some = names.length > TOLD ? `${names.slice(0, TOLD).join(", ")} and ${names.length - TOLD} more` : names.join(", ");
    errors.push(
      daemonError("NAME_TAKEN", `${some}: ${names.length === 1 ? "this name belongs" : "these names belong"} to ${who}`, {
        hint: `use ${longer(names[0]!, namespace)} instead, or close that one: this session has the names then`,
        details: { names, holder },
      }),
    );
  }
  return errors;
}

/** A name with its namespace, where it has none. One that has it is another cluster's too: its address is left. */
const longer = (name: string, namespace: string): string =>
  name.includes(".") ? `the address that \`shipside session list -d\` shows for ${name}` : `${name}.${namespace}`;

/** Another process of ours is asked what it has open. */
async function describeOwner(owner: string): Promise<string> {
  const pid = Number(/^shipside-(\d+)-/.exec(owner)?.[1] ?? Number.NaN);
  if (Number.isNaN(pid)) return `the hosts owner ${owner}`;
  for (const path of [foregroundPath(runtimeDir(), pid), controlPath()]) {
    try {
      await using client = await connectControl({ path, timeoutMs: ASK_MS });
      if (client.hello.pid !== pid) continue;
      const sessions = (await client.call("session.list", {}, { signal: AbortSignal.timeout(ASK_MS) })) as SessionInfo[];
      const named = sessions.filter(({ kind }) => kind === "teleport");
      if (named.length > 0) return `${named.map(describeSession).join(", ")}, of shipside ${pid}`;
    } catch {
      // Whoever it is, its pid is known.
    }
  }
  return `another shipside (pid ${pid})`;
}
