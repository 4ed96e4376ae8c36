import type { SessionOptions } from "@shipside/daemon/client";
import { type Invocation, list, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { interceptOptions, serviceOf } from "./incoming-options.ts";
import type { CommandSession } from "./open-session.ts";
import type { EventRelay } from "./session-command.ts";
import { ARRIVALS } from "./table/incoming.ts";
import type { Terminal } from "./terminal.ts";

/** What `--intercept` and `--expose` of a teleport ask for: a session for each Service, where the teleport is. Throws `USAGE`. */
export function arrivalSessions(invocation: Invocation, teleport: SessionOptions): SessionOptions[] {
  const { kubeconfig, context, namespace } = teleport;
  const where = {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
    ...(teleport.capture === false && { capture: false }),
  };
  const image = text(invocation, "image");
  const intercepts = byService(list(invocation, "intercept"));
  const match = interceptOptions(invocation);
  if (intercepts.size === 0 && Object.keys(match).length > 0) {
    const given = ARRIVALS.find(({ name }) => name !== "expose" && invocation.options[name] !== undefined)!;
    throw cliError("USAGE", `--${given.name} is of --intercept, and nothing is intercepted`, {
      hint: "say which Service: --intercept core:3020:8080",
    });
  }
  const common = (service: string, ports: readonly string[]) => ({
    service,
    ...(ports.length > 0 && { ports }),
    ...(image !== undefined && { image }),
  });
  const exposes = byService(list(invocation, "expose"));
  for (const [service, ports] of exposes)
    if (ports.length === 0)
      throw cliError("USAGE", `--expose ${service} says no port`, { hint: `such as --expose ${service}:80:8080` });
  return [
    ...[...intercepts].map(
      ([service, ports]): SessionOptions => ({
        ...where,
        kind: "intercept",
        intercept: { ...common(service, ports), ...match },
      }),
    ),
    ...[...exposes].map(([service, ports]): SessionOptions => ({ ...where, kind: "expose", expose: common(service, ports) })),
  ];
}

/** `SERVICE[:PORT[:LOCAL]]`, each Service with all its ports. */
function byService(given: readonly string[]): Map<string, string[]> {
  const services = new Map<string, string[]>();
  for (const each of given) {
    const [, name = "", port] = /^([^:]*)(?::(.*))?$/s.exec(each)!;
    const service = serviceOf([name]);
    services.set(service, [...(services.get(service) ?? []), ...(port === undefined ? [] : [port])]);
  }
  return services;
}

/** Opens one beside the teleport, which goes on without it where it ends early. */
export async function openArrival(
  wish: SessionOptions,
  session: CommandSession,
  { relay, terminal }: { relay: EventRelay; terminal: Terminal },
): Promise<void> {
  const { service } = (wish.expose ?? wish.intercept)!;
  terminal.busy(`${wish.kind === "expose" ? "exposing" : "intercepting"} ${service}`);
  const { ended } = await session.openBeside(wish, (event) => {
    // Where, the teleport has said.
    if (event.step !== "connected") relay.on(event);
  });
  void ended.then((reason) => reason && terminal.warn(reason.message));
}
