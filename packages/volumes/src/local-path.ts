/**
 * Where a path inside a container is below a local directory, with `/` between the parts and none at either end. Undefined where it
 * isn't a place of its own below it: the root itself, `..`, a NUL, or what Windows takes for a path.
 */
export function localPath(path: string): string | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length > 0 && parts.every(isName) ? parts.join("/") : undefined;
}

const isName = (part: string): boolean => part !== ".." && !/[\0\\:]/.test(part);

/** A path inside a volume as the API takes it (`items[].path`, `subPath`): relative, and no part of it is `..` or begins so. */
export const isVolumePath = (path: string): boolean =>
  path !== "" && path.split("/").every((part) => part !== "" && part !== "." && !part.startsWith("..") && !part.includes("\0"));

/** Whether `inner` is below `outer`; both as {@link localPath} gives them. */
export const isBelow = (inner: string, outer: string): boolean => inner.startsWith(`${outer}/`);
