/** What is to be shown in a command's namespaces, and where. */
export interface Shown {
  source: string;
  target: string;
  readOnly: boolean;
}

interface Volume {
  /** Below the directory that has them all, at its mount path. */
  localPath: string;
  mountPath: string;
  readOnly: boolean;
}

/**
 * In which order volumes are shown at their paths: the outer one of nested paths first, but last what covers the directory in which they all are
 * (`/tmp`, `/run`). What is inside that one comes along with it, and so is prepared where it is. `covers`: whether a mount path has that
 * directory. Pure.
 */
export function showOrder(volumes: readonly Volume[], covers: (mountPath: string) => boolean): Shown[] {
  const sorted = volumes.toSorted((a, b) => a.mountPath.length - b.mountPath.length);
  const cover = sorted.find(({ mountPath }) => covers(mountPath));
  const inCover = ({ localPath }: Volume): boolean => cover !== undefined && localPath.startsWith(`${cover.localPath}/`);
  const others = sorted.filter((volume) => volume !== cover);
  const shown = ({ localPath: source, mountPath: target, readOnly }: Volume): Shown => ({ source, target, readOnly });
  return [
    ...others.filter((volume) => !inCover(volume)).map(shown),
    ...others.filter(inCover).map(({ localPath, readOnly }) => ({ source: localPath, target: localPath, readOnly })),
    ...(cover ? [shown(cover)] : []),
  ];
}
