import { coreError } from "./catalog.ts";
import type { DialerFactory } from "./seams/dialer.ts";
import type { EnvFormat, EnvSource } from "./seams/env.ts";
import type { Hooks } from "./seams/hooks.ts";
import type { Interceptor } from "./seams/interceptor.ts";
import type { ServiceSelector } from "./seams/service-selector.ts";
import type { VolumeDriver } from "./seams/volumes.ts";

/** What a plugin adds. Every field but `name` is optional; several plugins may fill the same one. */
export interface Plugin {
  /** Shown in errors, logs and `origin`; by convention the npm package's name. */
  readonly name: string;
  readonly dialers?: readonly DialerFactory[];
  readonly serviceSelectors?: readonly ServiceSelector[];
  readonly envSources?: readonly EnvSource[];
  readonly envFormats?: readonly EnvFormat[];
  readonly volumeDrivers?: readonly VolumeDriver[];
  readonly interceptors?: readonly Interceptor[];
  readonly hooks?: Hooks;
}

const lists = ["dialers", "serviceSelectors", "envSources", "envFormats", "volumeDrivers", "interceptors"] as const;
const hookNames = ["sessionOpening", "sessionOpened", "sessionClosing", "sessionClosed", "tunnelOpened", "tunnelClosed"] as const;

/**
 * Checks a plugin where it is made, so that a mistake is told with the plugin's name rather than found in the middle of a session.
 * Throws `PLUGIN_INVALID`.
 */
export function definePlugin<const P extends Plugin>(plugin: P): P {
  const invalid = (why: string): Error =>
    coreError("PLUGIN_INVALID", `plugin ${JSON.stringify(plugin?.name ?? "(no name)")}: ${why}`, {
      hint: "see the Plugin type of @shipside/core",
    });
  if (typeof plugin !== "object" || plugin === null) throw invalid("not an object");
  if (typeof plugin.name !== "string" || plugin.name === "") throw invalid("`name` must be a non-empty string");
  const known = new Set<string>(["name", "hooks", ...lists]);
  for (const key of Object.keys(plugin)) if (!known.has(key)) throw invalid(`unknown field \`${key}\``);
  for (const key of lists) {
    const value: unknown = plugin[key];
    if (value !== undefined && !Array.isArray(value)) throw invalid(`\`${key}\` must be an array`);
  }
  for (const selector of plugin.serviceSelectors ?? []) {
    if (typeof selector !== "function") throw invalid("`serviceSelectors` must hold functions");
  }
  for (const interceptor of plugin.interceptors ?? []) {
    if (typeof interceptor?.connect !== "function") throw invalid("`interceptors` must hold objects with a function `connect`");
  }
  for (const [hook, fn] of Object.entries(plugin.hooks ?? {})) {
    if (!(hookNames as readonly string[]).includes(hook)) throw invalid(`unknown hook \`${hook}\``);
    if (fn !== undefined && typeof fn !== "function") throw invalid(`hook \`${hook}\` is not a function`);
  }
  return plugin;
}
