import { type ErrorJson, errorToJson } from "@shipside/core";
import type { RecoverOptions, RecoverReport, StrayRelays } from "@shipside/daemon";
import {
  type DaemonOwner,
  readAbandoned,
  readHelperRecord,
  removeDeadSockets,
  stateDir,
  strayOwners,
  undoAsRoot,
} from "@shipside/daemon/client";
import { ownCommandLine, sayThatRootIsAsked } from "../as-root.ts";
import { confirm } from "../ask.ts";
import type { CommandModule, Invocation } from "../command.ts";
import { flag, text } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { leftByHelper } from "../left-by-helper.ts";
import { type ClusterRights, rightsToUndo } from "../rights.ts";
import { explain, type Terminal } from "../terminal.ts";
import { type Where, whereOf } from "../where.ts";

/** A thing in a few words, and what there is to know of it. */
interface Removed {
  kind: string;
  what: string;
  said?: string;
}

interface Left {
  kind: string;
  what: string;
  error: ErrorJson;
}

/** Of what journals name; and of what none does, where it is told to look for that. */
export const rights: NonNullable<CommandModule["rights"]> = async (invocation) => {
  const strays = whereStrays(invocation);
  if (!strays) return rightsToUndo();
  const { homeNamespace, strayRelayRules } = await import("@shipside/daemon/rbac");
  const { context, namespace = await homeNamespace(strays) } = strays;
  const looking: ClusterRights = { ...(context !== undefined && { context }), rules: strayRelayRules(namespace) };
  return [...(await rightsToUndo()), looking];
};

/** Removes what dead sessions left, here and, after a yes, in clusters. Touches nothing that works. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  terminal.busy("looking for what was left behind");
  const removed: Removed[] = [];
  const gone: Removed[] = [];
  const left: Left[] = [];
  const forgotten: Left[] = [];
  const take = ({ undone, failed }: RecoverReport): void => {
    for (const { kind, what, said, gone: already } of undone)
      (already ? gone : removed).push({ kind, what, ...(said !== undefined && { said }) });
    const list = flag(invocation, "forget") ? forgotten : left;
    list.push(...failed.map(({ entry, error }) => ({ kind: entry.kind, what: entry.what, error: errorToJson(error) })));
  };

  if ((await readAbandoned(stateDir())).length > 0) {
    const { recover } = await import("@shipside/daemon");
    const options = recoverOptions(invocation, interrupt);
    const local = await recover({ ...options, where: "machine" });
    take(local);
    if (local.waiting.length > 0) {
      const waiting = local.waiting.map(({ what }) => what);
      if (await mayTouchClusters("left in a cluster", waiting, invocation, terminal, interrupt)) {
        terminal.busy("removing it from the cluster");
        // What failed is tried once more with the rest.
        left.length = 0;
        take(await recover({ ...options, where: "everywhere" }));
      } else {
        left.push(...local.waiting.map(({ kind, what }) => ({ kind, what, error: NOT_ASKED })));
      }
    }
  }
  const attempt = (kind: string, what: string, work: Promise<unknown>): Promise<unknown> =>
    work.then(
      (said) => removed.push({ kind, what, ...(typeof said === "string" && { said }) }),
      (error: unknown) => left.push({ kind, what, error: errorToJson(error) }),
    );
  // What a lost journal would have told.
  for (const owner of await strayOwners()) {
    const { removeOwners } = await import("@shipside/daemon");
    await attempt(
      "hosts",
      `names of ${owner} in the hosts file`,
      removeOwners({}, (each) => each === owner),
    );
  }
  await using strays = await straysInCluster(invocation, terminal, interrupt);
  const lost = (strays?.relays ?? []).map(({ what }) => what);
  const whose = `yours in namespace ${strays?.namespace}, and in no journal of this machine`;
  if (lost.length > 0 && !(await mayTouchClusters(whose, lost, invocation, terminal, interrupt)))
    left.push(...lost.map((what) => ({ kind: "relay", what, error: NOT_ASKED })));
  else for (const { what, undo } of strays?.relays ?? []) await attempt("relay", what, undo(interrupt.signal));
  const helpers = await leftByHelper();
  if (helpers) await attempt("helper", whatHelpersLeft(helpers.left), undoHelpers(helpers, { terminal, signal: interrupt.signal }));
  removed.push(...(await removeDeadSockets()).map((path) => ({ kind: "socket", what: `socket ${path}` })));

  for (const { what, said } of removed) terminal.done(`removed ${what}${said === undefined ? "" : `: ${said}`}`);
  for (const { what, said } of gone) terminal.done(said === undefined ? `nothing was left of ${what}` : `${what}: ${said}`);
  for (const { what, error } of forgotten) terminal.warn(`given up, and perhaps still there: ${what}: ${error.message}`);
  for (const { what, error } of left) {
    terminal.warn(`still there: ${what}: ${error.message}`);
    for (const line of explain(error, terminal.err)) terminal.say(`  ${line}`);
  }
  if (removed.length + gone.length + forgotten.length + left.length === 0) terminal.done("nothing was left behind");
  terminal.result({ removed, gone, forgotten, left }, "");
  return left.length > 0 ? EXIT.residue : EXIT.ok;
};

/** Root is asked for to undo what a helper has left. */
async function undoHelpers({ owner, left }: { owner: DaemonOwner; left: string[] }, { terminal, signal }: Asking): Promise<void> {
  const onAsk = sayThatRootIsAsked(terminal, whatHelpersLeft(left));
  await undoAsRoot(owner, { signal, commandLine: ownCommandLine("clean"), onAsk });
  await (await readHelperRecord())?.clear();
}

interface Asking {
  terminal: Terminal;
  signal: AbortSignal;
}

const whatHelpersLeft = (left: readonly string[]): string => `what a helper that was killed had made (${left.join(", ")})`;

function recoverOptions(invocation: Invocation, interrupt: Interrupt): RecoverOptions {
  const [kubeconfig, context] = [text(invocation, "kubeconfig"), text(invocation, "context")];
  return {
    stateDir: stateDir(),
    forget: flag(invocation, "forget"),
    connections: {
      signal: interrupt.signal,
      ...((kubeconfig !== undefined || context !== undefined) && {
        instead: { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) },
      }),
    },
  };
}

const NOT_ASKED: ErrorJson = {
  code: "UNDO_FAILED",
  message: "not asked of the cluster",
  hint: "`shipside clean --yes` removes it",
};

/** What no journal knows is looked for where somebody says where: with `-n`, `-k` or `--context`. */
function whereStrays(invocation: Invocation): Where | undefined {
  const where = whereOf(invocation);
  return Object.keys(where).length > 0 ? where : undefined;
}

/** What can't be looked at is told, and no more. */
async function straysInCluster(
  invocation: Invocation,
  terminal: Terminal,
  { signal }: Interrupt,
): Promise<StrayRelays | undefined> {
  const where = whereStrays(invocation);
  if (!where) return undefined;
  terminal.busy("looking for what no journal knows");
  const { openStrayRelays } = await import("@shipside/daemon");
  try {
    return await openStrayRelays({ ...where, stateDir: stateDir(), signal });
  } catch (error) {
    terminal.warn(`what no journal knows was not looked for: ${errorToJson(error).message}`);
    return undefined;
  }
}

async function mayTouchClusters(
  where: string,
  what: readonly string[],
  invocation: Invocation,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<boolean> {
  if (flag(invocation, "yes")) return true;
  terminal.say(`${where}:`);
  for (const each of what) terminal.say(`  ${each}`);
  return (await confirm("Remove that?", terminal, interrupt)) === true;
}
