/** What an image stands for on this node. */
export interface ImageRuntime {
  /** Put before the container's `args` where it has no `command`. */
  entrypoint: readonly string[];
  /** Taken where it has neither `command` nor `args`. */
  defaultArgs: readonly string[];
  /** Whether `args` that don't name a program are arguments of the entrypoint's (as the node image's entrypoint script does). */
  lenient?: boolean;
}

const shell: ImageRuntime = { entrypoint: [], defaultArgs: ["sh"] };

/** By the last part of the repository's name. Shell images run the host's programs. */
export const BUILT_IN_IMAGES: Readonly<Record<string, ImageRuntime>> = {
  node: { entrypoint: ["node"], defaultArgs: [], lenient: true },
  busybox: shell,
  alpine: shell,
  debian: shell,
  ubuntu: shell,
  bash: shell,
  pause: { entrypoint: ["sleep", "2147483647"], defaultArgs: [] },
};

export type ImageResult =
  | { ok: true; runtime: ImageRuntime; reference: string }
  | { ok: false; reason: "InvalidImageName" | "ErrImagePull"; message: string };

const REFERENCE =
  /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** Finds what runs an image, and the name under which a container status shows it (`docker.io/library/node:22`). */
export function resolveImage(image: string | undefined, images: Readonly<Record<string, ImageRuntime>>): ImageResult {
  if (!image || !REFERENCE.test(image)) {
    return {
      ok: false,
      reason: "InvalidImageName",
      message: `Failed to apply default image tag "${image ?? ""}": couldn't parse image name "${image ?? ""}": invalid reference format`,
    };
  }
  const [path] = image.split("@");
  const colon = path!.lastIndexOf(":") > path!.lastIndexOf("/") ? path!.lastIndexOf(":") : path!.length;
  const repository = path!.slice(0, colon);
  const reference = `${qualified(repository)}${path!.slice(colon) || (image.includes("@") ? "" : ":latest")}${image.slice(path!.length)}`;
  const runtime = images[repository] ?? images[repository.split("/").at(-1)!];
  if (runtime) return { ok: true, runtime, reference };
  return {
    ok: false,
    reason: "ErrImagePull",
    message: `failed to pull and unpack image "${reference}": failed to resolve reference "${reference}": this node has no registry; it runs the images ${Object.keys(images).join(", ")}`,
  };
}

function qualified(repository: string): string {
  const [first, ...rest] = repository.split("/");
  if (rest.length > 0 && /[.:]|^localhost$/.test(first!)) return repository;
  return rest.length > 0 ? `docker.io/${repository}` : `docker.io/library/${repository}`;
}

/** The program and its arguments. `hasProgram` says whether a word is one that can be run. */
export function containerArgv(
  runtime: ImageRuntime,
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
  hasProgram: (word: string) => boolean,
): string[] {
  if (command?.length) return [...command, ...(args ?? [])];
  if (!args?.length) return [...runtime.entrypoint, ...runtime.defaultArgs];
  if (runtime.lenient && !args[0]!.startsWith("-") && hasProgram(args[0]!)) return [...args];
  return [...runtime.entrypoint, ...args];
}
