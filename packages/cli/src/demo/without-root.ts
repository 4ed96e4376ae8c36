import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { errorToJson } from "@shipside/core";
import type { Rootless } from "@shipside/daemon/rootless";
import { explain, type Terminal } from "../terminal.ts";

const HOSTS = "/etc/hosts";

/** Whether the names can be where every program of the machine finds them. */
export const canWriteHosts = (): Promise<boolean> =>
  access(HOSTS, constants.W_OK).then(
    () => true,
    () => false,
  );

/** Namespaces for the demo's programs, or undefined where they can't be had: why is told when the demo comes to its teleport. */
export interface WithoutRoot {
  readonly namespaces: Rootless | undefined;
  tell(terminal: Terminal): void;
}

/** Never rejects. It takes no signal, since the session's clean-up needs what it opens; it takes less than a second. */
export async function openWithoutRoot(): Promise<WithoutRoot> {
  try {
    const { openRootless } = await import("@shipside/daemon/rootless");
    return {
      namespaces: await openRootless(),
      tell: (terminal) => terminal.done(`${HOSTS} isn't yours to write: your programs get namespaces of their own, without root`),
    };
  } catch (error) {
    return {
      namespaces: undefined,
      tell(terminal) {
        const shown = errorToJson(error);
        terminal.warn(`${HOSTS} isn't yours to write, and namespaces can't be had: ${shown.message}`);
        for (const line of explain(shown, terminal.err)) terminal.say(`  ${line}`);
      },
    };
  }
}
