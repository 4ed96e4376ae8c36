import type { Launch, RootView } from "./protocol.ts";

/** The command that gives a container its own root and then becomes the container's first process. */
export function viewArgv(launch: Launch, view: RootView): string[] {
  void view;
  return [...launch.argv];
}

/** The command that joins a running container's root and then becomes `argv`. */
export function enterArgv(pid: number, cwd: string, argv: readonly string[]): string[] {
  void pid;
  void cwd;
  return [...argv];
}
