import { type ProbeReach, runProbe } from "./probes.ts";

export interface ContainerProbes {
  // biome-ignore lint/suspicious/noExplicitAny: a container of a pod's spec
  spec: any;
  reach: ProbeReach;
  /** Ends with the container's run. */
  signal: AbortSignal;
  failed(which: "Startup" | "Readiness" | "Liveness", message: string): void;
  /** It counts as started; `ready` where nothing asks whether it is. */
  started(ready: boolean): void;
  ready(ready: boolean): void;
  /** It is to be ended, within the probe's own grace period if it has one (seconds). */
  dead(which: "startup" | "liveness", grace: number | undefined): void;
}

/** Startup first; then readiness and liveness until the run ends. */
export async function probeContainer({ spec, reach, signal, failed, started, ready, dead }: ContainerProbes): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = spec;
  if (startupProbe) {
    const through = Promise.withResolvers<void>();
    const loop = new AbortController();
    void runProbe({
      probe: startupProbe,
      reach,
      initially: false,
      signal: AbortSignal.any([signal, loop.signal]),
      onFailure: (message) => failed("Startup", message),
      onChange(ok) {
        loop.abort();
        if (ok) through.resolve();
        else dead("startup", startupProbe.terminationGracePeriodSeconds);
      },
    });
    signal.addEventListener("abort", () => through.resolve(), { once: true });
    await through.promise;
    if (signal.aborted) return;
  }
  started(!readinessProbe);
  if (readinessProbe) {
    const onFailure = (message: string): void => failed("Readiness", message);
    void runProbe({ probe: readinessProbe, reach, initially: false, signal, onFailure, onChange: ready });
  }
  if (livenessProbe) {
    const loop = new AbortController();
    void runProbe({
      probe: livenessProbe,
      reach,
      initially: true,
      signal: AbortSignal.any([signal, loop.signal]),
      onFailure: (message) => failed("Liveness", message),
      onChange(ok) {
        if (ok) return;
        loop.abort();
        dead("liveness", livenessProbe.terminationGracePeriodSeconds);
      },
    });
  }
}
