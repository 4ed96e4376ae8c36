import { type Closable, createCloser, type EnvEntry, type Logger, type Plugin } from "@shipside/core";
import {
  type CollectOptions,
  collectEnv,
  type EnvChange,
  type EnvCollection,
  type EnvFile,
  formatForFile,
  formatNamed,
  watchEnv,
} from "@shipside/envexport";
import type { Cluster, Workload } from "@shipside/kube";
import { daemonError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { makeEnvFile } from "./residue/env-file.ts";
import type { SessionInfo, SessionOptions } from "./session-info.ts";

/** A session's environment: collected when it opened, or followed into a file for as long as it is open. */
export interface SessionEnv extends Closable {
  readonly entries: readonly EnvEntry[];
  readonly file: SessionInfo["envFile"];
  /** Collects anew, where nothing is followed. */
  refresh(signal: AbortSignal): Promise<void>;
}

export interface SessionEnvComponents {
  cluster: Cluster;
  workload: Workload;
  options: SessionOptions;
  /** The address of a service on this machine, where it has one. */
  addressOf: NonNullable<CollectOptions["addressOf"]>;
  journal: Journal;
  /** Variables that this machine has otherwise. */
  given: Readonly<Record<string, string>>;
  /** The session's id. */
  session: string;
  plugins: readonly Plugin[];
  logger: Logger;
  signal: AbortSignal;
  warn(error: unknown): void;
  /** An env that is followed has become another. */
  changed(change: EnvChange): void;
}

export async function openSessionEnv(components: SessionEnvComponents): Promise<SessionEnv> {
  const { cluster, workload, options, addressOf, given, journal, session, plugins, logger, signal, warn, changed } = components;
  const { container, envFile, kind, env = {}, mount } = options;
  const { from, skipForbidden, follow = false, only, except, secrets, set } = env;
  const values = { ...given, ...(mount && { SHIPSIDE_ROOT: mount.dir }), ...set };
  const common: CollectOptions = {
    workload,
    addressOf,
    // A teleport without some Secret is of use; an env that was asked for is to be whole.
    skipForbidden: skipForbidden ?? kind !== "env",
    sources: plugins.flatMap(({ envSources = [] }) => envSources),
    select: {
      ...(only && { only }),
      ...(except && { except }),
      ...(secrets !== undefined && { secrets }),
      ...(Object.keys(values).length > 0 && { set: values }),
    },
    logger,
    ...(from && { from }),
    ...(container !== undefined && { container }),
  };
  const told = new Set<string>();
  const incomplete = (message: string, hint = "the variables that can be had are there", refusals: readonly Error[] = []): void => {
    if (told.has(message)) return;
    told.add(message);
    const cause = refusals.length > 1 ? new AggregateError(refusals, "several rights are missing") : refusals[0];
    warn(daemonError("ENV_INCOMPLETE", message, { hint, ...(cause && { cause }) }));
  };
  const tell = ({ warnings, refusals }: EnvCollection): void => {
    for (const { message, reason } of warnings)
      incomplete(message, undefined, reason === "FORBIDDEN" || reason === "NEEDS_POD" ? refusals : []);
  };

  if (!envFile && !follow) {
    let current = await collectEnv(cluster, { ...common, signal });
    tell(current);
    return {
      get entries() {
        return current.entries;
      },
      file: undefined,
      async refresh(until) {
        current = await collectEnv(cluster, {
          ...common,
          workload: `${workload.kind}/${workload.name}`,
          namespace: workload.namespace,
          signal: until,
        });
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  const theirs = plugins.flatMap(({ envFormats = [] }) => envFormats);
  const format =
    envFile && (envFile.format === undefined ? formatForFile(envFile.path, theirs) : formatNamed(envFile.format, theirs));
  const closer = createCloser();
  let kept = 0;
  /** What the file can't hold, and what of somebody's it would have lost. */
  const tellFile = (file: EnvFile | undefined): void => {
    if (!file || !format) return;
    if (file.skipped.length > 0) {
      const names = file.skipped.join(", ");
      incomplete(`${names}: the form ${format.name} can't hold it, so it is not in ${file.path}`, "-m json holds every value");
    }
    for (const aside of file.kept.slice(kept)) {
      warn(daemonError("ENV_FILE_KEPT", `${file.path} was edited by somebody else`, { hint: `the edit is kept as ${aside}` }));
    }
    kept = file.kept.length;
  };
  try {
    const place = envFile && (await makeEnvFile(journal, envFile.path, session));
    if (place) closer.defer(place.remove);
    const watch = await watchEnv(cluster, {
      ...common,
      // A teleport without some variable in its file is of use.
      ...(envFile &&
        place &&
        format && { file: { path: envFile.path, format, skipUnrepresentable: kind !== "env", onReplace: place.writing } }),
      onChange: (change) => {
        tell(change.collection);
        tellFile(watch.file);
        changed(change);
      },
      onError: warn,
    });
    closer.defer(async () => {
      await watch.close();
      tellFile(watch.file);
    });
    signal.throwIfAborted();
    tell(watch.current);
    tellFile(watch.file);
    return {
      get entries() {
        return watch.current.entries;
      },
      get file() {
        if (!envFile || !format) return undefined;
        const variables = watch.current.entries.length - (watch.file?.skipped.length ?? 0);
        return { path: envFile.path, format: format.name, variables };
      },
      refresh: async () => {},
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}
