import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { StartedContainer } from "./agent/client.ts";
import type { TaskInputs } from "./container-task.ts";
import { containerEnv } from "./env/container-env.ts";
import { expand } from "./env/expand.ts";
import { containerArgv, type ImageRuntime } from "./images.ts";
import type { ContainerMount, ContainerView } from "./network/network.ts";
import { pause } from "./pause.ts";
import { findProgram } from "./programs.ts";
import type { ContainerRecord } from "./status.ts";

/** What one run of a container needs. */
export interface Prepared {
  argv: string[];
  env: Record<string, string>;
  place: ContainerView;
}

export interface Launcher {
  /** Env, command and mounts; undefined where it was stopped while waiting for what is missing. */
  prepare(runtime: ImageRuntime): Promise<Prepared | undefined>;
  /** Throws what the runtime says of a program that can't be run. */
  launch(prepared: Prepared): Promise<StartedContainer>;
  logFile(previous: boolean): string | undefined;
}

export interface LauncherInputs extends TaskInputs {
  record: ContainerRecord;
  /** The container's spec as it is now. */
  current(): TaskInputs["spec"];
  signal: AbortSignal;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
  waiting(reason: string, message?: string): void;
}

/** Makes a container's process of its spec, again for each run. */
export function createLauncher(inputs: LauncherInputs): Launcher {
  const { context, pod, record, sandbox, volumes, current, signal, news, event, waiting } = inputs;
  const { name } = record;
  const logDirectory = join(context.directory, "pods", pod.metadata.uid, "logs", name);
  const logs: string[] = [];

  const mounts = (env: Readonly<Record<string, string>>): ContainerMount[] =>
    (current().volumeMounts ?? []).map(
      (mount: { name: string; mountPath: string; subPath?: string; subPathExpr?: string; readOnly?: boolean }) => {
        const subPath = mount.subPathExpr ? expand(mount.subPathExpr, (key) => env[key]) : mount.subPath;
        const source = volumes.source({ name: mount.name, ...(subPath && { subPath }) });
        return {
          at: mount.mountPath,
          source: source.path,
          file: source.file,
          readOnly: source.readOnly || mount.readOnly === true,
        };
      },
    );

  const prepare = async (runtime: ImageRuntime): Promise<Prepared | undefined> => {
    while (!signal.aborted) {
      try {
        const container = current();
        const { env, skipped } = containerEnv(container, inputs.env(name));
        if (skipped.length > 0) {
          event(
            "Warning",
            "InvalidEnvironmentVariableNames",
            `Keys [${skipped.join(", ")}] were skipped since they are considered invalid environment variable names.`,
          );
        }
        const place = sandbox.container({ name, mounts: mounts(env), workingDir: container.workingDir });
        const words = (list: string[] | undefined): string[] | undefined => list?.map((word) => expand(word, (key) => env[key]));
        const isProgram = (word: string): boolean => findProgram(word, env["PATH"] ?? "") !== undefined;
        const argv = containerArgv(runtime, words(container.command), words(container.args), isProgram);
        return { argv, env, place };
      } catch (error) {
        const message = (error as Error).message;
        waiting("CreateContainerConfigError", message);
        event("Warning", "Failed", `Error: ${message}`);
        await pause(context.retryMs, signal, news());
      }
    }
    return undefined;
  };

  const launch = async ({ argv, env, place }: Prepared): Promise<StartedContainer> => {
    const attempt = record.restartCount;
    const logFile = join(logDirectory, `${attempt}.log`);
    mkdirSync(dirname(logFile), { recursive: true });
    // One earlier run's log is kept, for `kubectl logs --previous`.
    for (const old of logs.splice(0, Math.max(0, logs.length - 1))) {
      for (const file of [old, `${old}.1`]) rmSync(file, { force: true });
    }
    logs.push(logFile);
    const program = findProgram(argv[0]!, env["PATH"] ?? "");
    const below = (mount: ContainerMount): boolean => argv[0]!.startsWith(`${mount.at}/`);
    if (program === undefined && !(argv[0]!.includes("/") && mounts(env).some(below))) {
      const message = argv[0]!.includes("/") ? `stat ${argv[0]}: no such file or directory` : `executable file not found in $PATH`;
      throw new Error(
        `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "${argv[0]}": ${message}`,
      );
    }
    return sandbox.agent.start({
      id: `${pod.metadata.uid}/${name}/${attempt}`,
      argv: [program ?? argv[0]!, ...argv.slice(1)],
      env,
      cwd: place.cwd,
      logFile,
      maxLogBytes: context.maxLogBytes,
      ...(place.view && { view: place.view }),
    });
  };

  return { prepare, launch, logFile: (previous) => logs.at(previous ? -2 : -1) };
}
