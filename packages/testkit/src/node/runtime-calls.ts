import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import type { ContainerTask } from "./container-task.ts";
import { readLog } from "./log-reader.ts";
import type { PodWorker } from "./pod-worker.ts";
import type { NodeRuntime } from "./runtime.ts";

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });

/** What the API server asks of the node: sockets, processes and logs of pods. */
export function createRuntime(find: (namespace: string, pod: string) => PodWorker): NodeRuntime {
  const pick = (worker: PodWorker, name: string | undefined): { name: string; task: ContainerTask | undefined } => {
    const chosen = name ?? worker.records.find((record) => record.kind === "main")!.name;
    const record = worker.records.find((r) => r.name === chosen);
    if (!record) {
      const { name: pod, namespace } = worker.pod.metadata;
      throw coded("NotFound", `container ${chosen} not found in pod ${pod}_${namespace}`);
    }
    return { name: chosen, task: worker.container(chosen) };
  };

  return {
    async dialPod(namespace, pod, port) {
      const worker = find(namespace, pod);
      const { sandbox } = worker;
      if (!sandbox) throw coded("NotRunning", `pod ${namespace}/${pod} has no running sandbox`);
      return sandbox.dial(sandbox.localAddress, port);
    },

    async exec(namespace, pod, { container, command, stdin, tty }) {
      const worker = find(namespace, pod);
      const { name, task } = pick(worker, container);
      if (!task?.running || !worker.sandbox) throw coded("NotRunning", `container not found ("${name}")`);
      try {
        return await worker.sandbox.agent.exec(task.running.id, command, { stdin, tty });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        throw coded(
          "ENOENT",
          `failed to exec in container: failed to start exec "${randomBytes(32).toString("hex")}": OCI runtime exec failed: exec failed: unable to start container process: exec: ${JSON.stringify(command[0])}: executable file not found in $PATH`,
        );
      }
    },

    async logs(namespace, pod, options) {
      const worker = find(namespace, pod);
      const { name, task } = pick(worker, options.container);
      const path = task?.logFile(options.previous);
      if (options.previous && !path) {
        throw coded("NotFound", `previous terminated container "${name}" in pod "${pod}" not found`);
      }
      if (!task || !path || !existsSync(path)) {
        const record = worker.records.find((r) => r.name === name)!;
        const reason = "waiting" in record.state ? record.state.waiting.reason : "ContainerCreating";
        const why = /Image/.test(reason) ? "trying and failing to pull image" : reason;
        throw coded("NotRunning", `container "${name}" in pod "${pod}" is waiting to start: ${why}`);
      }
      const run = options.previous ? undefined : task.running;
      const { sandbox } = worker;
      return readLog(
        {
          path,
          ...(run && sandbox && { ended: run.exited, watch: (listener: () => void) => sandbox.agent.onLog(run.id, listener) }),
        },
        options,
      );
    },
  };
}
