import type { Container, PodSpec } from "@shipside/kube";

/** How whom a pod runs as changes the modes of files from the API, as the kubelet changes them. */
export interface FileModes {
  /** Of what a kubelet makes by itself, a token or trust anchors, in place of the volume's default. Undefined where that stands. */
  readonly made: number | undefined;
  /** From what the volume says. */
  of(mode: number): number;
}

interface SecurityContext {
  runAsUser?: number;
  fsGroup?: number;
}

/** Such volumes are read-only: to a group they are opened for reading, and no further. */
const GROUP_READS = 0o440;
const OWNER_ALONE = 0o600;

/**
 * A token is its user's alone where all containers have the same one, or there is an fsGroup; an fsGroup may read every file.
 * Rule: kubernetes/enhancements KEP-1205; seen on kubelet 1.36.
 */
export function fileModes(spec: PodSpec): FileModes {
  const ofPod = contextOf(spec);
  const users = new Set(
    [...(spec.initContainers ?? []), ...spec.containers].map((each) => contextOf(each).runAsUser ?? ofPod.runAsUser),
  );
  const oneUser = users.size === 1 && !users.has(undefined);
  const hasGroup = ofPod.fsGroup !== undefined;
  return {
    made: oneUser || hasGroup ? OWNER_ALONE : undefined,
    of: (mode) => (hasGroup ? mode | GROUP_READS : mode),
  };
}

const contextOf = (of: PodSpec | Container): SecurityContext => (of as { securityContext?: SecurityContext }).securityContext ?? {};
