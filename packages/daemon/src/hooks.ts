import type { Hooks, Logger, Plugin, SessionFacts, TunnelFacts } from "@shipside/core";
import { daemonError } from "./errors.ts";

const OPENING: ReadonlySet<keyof Hooks> = new Set(["sessionOpening", "sessionOpened", "tunnelOpened"]);

/**
 * Runs one hook of every plugin, one after the other: in the given order while opening, in reverse while closing. What throws while
 * the session opens ends it (`HOOK_FAILED`); what throws later (`late`, or a closing hook) is logged.
 */
export async function runHooks(
  plugins: readonly Plugin[],
  hook: keyof Hooks,
  session: SessionFacts,
  tunnels: readonly TunnelFacts[] | undefined,
  logger: Logger,
  late = false,
): Promise<void> {
  const opening = OPENING.has(hook);
  for (const { name, hooks } of opening ? plugins : plugins.toReversed()) {
    if (!hooks?.[hook]) continue;
    try {
      // A copy: a plugin changes nothing of ours.
      for (const tunnel of tunnels ?? [undefined]) await hooks[hook]({ ...session }, structuredClone(tunnel) as TunnelFacts);
    } catch (cause) {
      if (opening && !late) {
        throw daemonError(
          "HOOK_FAILED",
          `plugin ${name} failed in ${hook}: ${cause instanceof Error ? cause.message : String(cause)}`,
          {
            hint: `leave the plugin out, or mend it: everything of the session is undone`,
            cause,
          },
        );
      }
      logger.error(`plugin ${name} failed in ${hook}`, { error: String(cause) });
    }
  }
}
