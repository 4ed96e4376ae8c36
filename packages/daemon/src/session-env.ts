import { type Closable, createCloser, type EnvEntry, type Logger, type Plugin } from "@shipside/core";
import { type CollectOptions, collectEnv, type EnvCollection, formatForFile, formatNamed, watchEnv } from "@shipside/envexport";
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
  /** The session's id. */
  session: string;
  plugins: readonly Plugin[];
  logger: Logger;
  signal: AbortSignal;
  warn(error: unknown): void;
}

export async function openSessionEnv(components: SessionEnvComponents): Promise<SessionEnv> {
  const { cluster, workload, options, addressOf, journal, session, plugins, logger, signal, warn } = components;
  const { container, envFile, kind } = options;
  const common: CollectOptions = {
    workload,
    addressOf,
    // A teleport without some Secret is of use; an env that was asked for is to be whole.
    skipForbidden: kind !== "env",
    sources: plugins.flatMap(({ envSources = [] }) => envSources),
    logger,
    ...(container !== undefined && { container }),
  };
  const told = new Set<string>();
  const tell = ({ warnings }: EnvCollection): void => {
    for (const { message } of warnings) {
      if (told.has(message)) continue;
      told.add(message);
      warn(daemonError("ENV_INCOMPLETE", message, { hint: "the variables that can be had are there" }));
    }
  };

  if (!envFile) {
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
  const format = envFile.format === undefined ? formatForFile(envFile.path, theirs) : formatNamed(envFile.format, theirs);
  const closer = createCloser();
  try {
    const place = await makeEnvFile(journal, envFile.path, session);
    closer.defer(place.remove);
    const watch = await watchEnv(cluster, {
      ...common,
      file: { path: envFile.path, format },
      onChange: ({ collection }) => {
        tell(collection);
        place.wrote(watch.file?.digest).catch(warn);
      },
      onError: warn,
    });
    closer.use(watch);
    await place.wrote(watch.file?.digest);
    signal.throwIfAborted();
    tell(watch.current);
    return {
      get entries() {
        return watch.current.entries;
      },
      get file() {
        return { path: envFile.path, format: format.name, variables: watch.current.entries.length };
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
