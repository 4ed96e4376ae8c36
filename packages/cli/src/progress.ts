import type { ErrorJson } from "@shipside/core";
import type { SessionEvent } from "@shipside/daemon/client";
import { tellEnvChange } from "./env-change.ts";
import { obstacleLine, volumeLine } from "./mount-facts.ts";
import { pointAtRbac } from "./rbac-hint.ts";
import { explain, type Terminal } from "./terminal.ts";

export interface Progress {
  on(event: SessionEvent): void;
  /** What was held back so far is said; from now on warnings are said as they come. */
  ready(): void;
}

/** How many problems of one kind are told one by one. */
const TOLD = 3;
/** How often it is said how far a copy is where no line can change, in ms. */
const SAY_MS = 10_000;

/**
 * Tells a session's opening, a line for each thing that was done. `command`: one gets the names where the hosts file can't; "told" where
 * whoever runs it says so. `rootless`: the names and addresses are of namespaces for the command. `opening`: what begins when the workload is
 * known, default "opening tunnels". `calm` takes out warnings that need none.
 */
export function createProgress(
  terminal: Terminal,
  options: { command: boolean | "told"; rootless?: boolean; opening?: string; calm?: (error: ErrorJson) => boolean },
): Progress {
  const { err } = terminal;
  let held: ErrorJson[] | undefined = [];
  let named = false;
  let copyingSaid = performance.now();
  const plural = (n: number, one: string, many = `${one}s`): string => `${err("bold", String(n))} ${n === 1 ? one : many}`;

  const warn = (error: ErrorJson): void => {
    terminal.warn(error.message);
    for (const line of explain(pointAtRbac(error), err)) terminal.say(`  ${line}`);
  };

  return {
    on(event) {
      switch (event.step) {
        case "connected":
          terminal.say(
            `context ${err("bold", event.context)}, namespace ${err("bold", event.namespace)}, server ${err("bold", event.server)}`,
          );
          for (const note of event.notes ?? []) terminal.say(`  ${note}`);
          terminal.busy("asking the cluster");
          break;
        case "resolved":
          terminal.done(err("bold", event.workload));
          terminal.busy(options.opening ?? "opening tunnels");
          break;
        case "tunnels": {
          const where = event.namespaces.length > 1 ? ` of ${event.namespaces.join(", ")}` : "";
          // Those that failed are told by what failed.
          const ports = event.ports + event.failed;
          terminal.done(
            `${plural(event.services, "service")}${where}, each on ${options.rootless ? "its address in the cluster" : "an address of its own"} (${ports} ${ports === 1 ? "port" : "ports"})`,
          );
          if (event.services === 0) terminal.say("  there is none, or none that fits: one that comes has its name here then");
          terminal.busy("writing names");
          break;
        }
        case "names": {
          if (named) break;
          named = true;
          const { where, count, reason } = event.names;
          if (options.rootless) terminal.done(`${plural(count, "name")} for the command alone; nothing on this machine changes`);
          else if (where === "hosts") terminal.done(`${plural(count, "name")} in the hosts file`);
          else if (options.command === true)
            terminal.done(`${plural(count, "name")} for the command alone: ${reason?.message ?? "no hosts file"}`);
          else if (options.command === false && reason) {
            terminal.warn(`names are not on this machine: ${reason.message}`);
            terminal.say(
              `  ${err("cyan", "hint:")} give a command after \`--\`, which will have them; or use the addresses of \`shipside session list -d\``,
            );
          }
          break;
        }
        case "env":
          terminal.done(
            `${plural(event.variables, "variable")}${event.file ? ` in ${err("bold", event.file)}, kept current` : ""}`,
          );
          break;
        case "incoming": {
          const { service, namespace, ports } = event.incoming;
          for (const { port, localPort, protocol } of ports) {
            const to = options.rootless ? `port ${localPort} of the command` : `127.0.0.1:${localPort}`;
            terminal.done(
              `${err("bold", `${service}.${namespace}:${port}`)}${protocol === "UDP" ? "/udp" : ""} → ${err("bold", to)}`,
            );
          }
          if (event.match !== undefined) terminal.say(`  ${event.match}`);
          const headers = Object.entries(event.marked ?? {}).map(
            ([name, value]) => `-H '${name}: ${value.replaceAll("'", `'\\''`)}'`,
          );
          if (headers.length > 0)
            terminal.say(`  such as: curl ${headers.join(" ")} http://${service}.${namespace}:${ports[0]?.port ?? ""}/`);
          break;
        }
        case "mounted": {
          const { dir, volumes, drivers, obstacles } = event.mount;
          terminal.done(`${plural(volumes.length, "volume")} in ${err("bold", dir)}`);
          for (const volume of volumes) terminal.say(`  ${volumeLine(volume)}`);
          for (const { name, why } of drivers) terminal.say(`  driver ${err("bold", name)}: ${why}`);
          for (const obstacle of obstacles) warn({ ...obstacle, message: `not mounted: ${obstacleLine(obstacle)}` });
          break;
        }
        case "inspector":
          if (event.captures) terminal.done(`traffic on ${err("bold", event.url)}: \`shipside inspect\` opens it`);
          break;
        case "notice":
          terminal.say(`  ${event.message}`);
          break;
        case "copying":
          if (terminal.errShows.width !== undefined) terminal.busy(event.message);
          else if (performance.now() - copyingSaid > SAY_MS) {
            copyingSaid = performance.now();
            terminal.say(`  ${event.message}`);
          }
          break;
        case "joined":
          terminal.done(`session ${err("bold", event.id)} is open already: joined it`);
          break;
        case "warning":
          if (held) held.push(event.error);
          else if (!options.calm?.(event.error)) warn(event.error);
          break;
        case "env-changed":
          void tellEnvChange(event, terminal);
          break;
        case "ended":
          break;
      }
    },
    ready() {
      const told = new Map<string, number>();
      for (const error of held ?? []) {
        if (options.calm?.(error)) continue;
        const n = (told.get(error.code) ?? 0) + 1;
        told.set(error.code, n);
        if (n <= TOLD) warn(error);
      }
      held = undefined;
      for (const [code, n] of told) if (n > TOLD) terminal.warn(`and ${n - TOLD} more like these (${code})`);
    },
  };
}
