import { readlink, realpath } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, delimiter, dirname, join, relative, resolve, sep } from "node:path";
import { daemonError } from "../errors.ts";
import type { ProfilePlan } from "./plan.ts";
import { profilesDir } from "./saved.ts";

/** Something that a file asks for beyond what a file that came with somebody's repository may have. */
export interface Distrust {
  entry: string;
  line: number;
  /** `kubeconfig`: what it names could run a program, or send the user's tokens and variables anywhere. */
  what: "kubeconfig" | "file";
  why: string;
}

export interface TrustOptions {
  /** Kubeconfigs that the user named: on the command line, or as what is taken where the file names none. */
  given?: readonly (string | undefined)[];
  /** Default: this process's. */
  env?: NodeJS.ProcessEnv;
}

/**
 * What `plan` asks for that its file may not decide alone: a kubeconfig that isn't the user's own (below `~/.kube`, or one of `$KUBECONFIG`), and
 * a file or a mount outside of the folder that the plan's file is in, or below a `.git` there. Links are followed first. Of a saved profile: nothing.
 */
export async function distrusted(plan: ProfilePlan, { given = [], env = process.env }: TrustOptions = {}): Promise<Distrust[]> {
  const folder = await real(dirname(plan.file));
  if (isBelow(folder, await real(profilesDir(env)))) return [];
  const home = env["HOME"] || homedir();
  const own = await real(join(home, ".kube"));
  const named = await Promise.all(pathsOf(env["KUBECONFIG"]).map((path) => real(path)));
  const isOwn = async (path: string): Promise<boolean> => {
    const where = await real(path);
    return isBelow(where, own) || named.includes(where);
  };

  const found: Distrust[] = [];
  for (const { entry, line, options } of plan.entries) {
    const { kubeconfig, envFile, mount } = options;
    if (kubeconfig !== undefined && !given.includes(kubeconfig)) {
      for (const path of pathsOf(kubeconfig)) {
        if (await isOwn(path)) continue;
        const why = `names the kubeconfig ${path}, which is none of yours: it could run any program, and lead to any server`;
        found.push({ entry, line, what: "kubeconfig", why });
      }
    }
    for (const path of [envFile?.path, mount?.dir]) {
      if (path === undefined) continue;
      const inside = relative(folder, await real(path));
      const why =
        inside === ".." || inside.startsWith(`..${sep}`)
          ? `writes ${path}, outside of the file's own folder`
          : inside.split(sep).includes(".git")
            ? `writes ${path}, which git would read`
            : undefined;
      if (why !== undefined) found.push({ entry, line, what: "file", why });
    }
  }
  return found;
}

/** Throws `PROFILE_UNTRUSTED` (details: `distrust`) where there is any. */
export function assertTrusted({ file }: ProfilePlan, distrust: readonly Distrust[]): void {
  if (distrust.length === 0) return;
  const lines = distrust.map(({ line, entry, why }) => `${file}:${line}: ${entry} ${why}`);
  throw daemonError(
    "PROFILE_UNTRUSTED",
    lines.length === 1 ? lines[0]! : `${lines.length} things in ${file}:\n  ${lines.join("\n  ")}`,
    {
      hint: "read the file; if you would have written it yourself: --trust, or give the kubeconfig in KUBECONFIG",
      details: { file, distrust },
    },
  );
}

const pathsOf = (list: string | undefined): string[] => (list ?? "").split(delimiter).filter((path) => path !== "");

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(folder + sep);

/** Of what isn't there yet, where writing to it would make it: a link is followed also where it leads to nothing. */
async function real(path: string, links = 40): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const above = dirname(absolute);
    const target = await readlink(absolute).catch(() => undefined);
    // What goes round and round is nowhere.
    if (links === 0) return sep;
    if (target !== undefined) return real(resolve(await real(above, links - 1), target), links - 1);
    return above === absolute ? absolute : join(await real(above, links), basename(absolute));
  }
}
