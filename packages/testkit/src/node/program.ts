import { fileURLToPath } from "node:url";

/**
 * The arguments with which Node runs one of this package's own programs, named by its path under `src` without the ending
 * ("sample/apps/leaf"). From the sources it is a `.ts` file beside this one's folder; in the built package every module that
 * is imported stands at the top of `dist`, and programs keep their path beneath it.
 */
export function programPath(name: string): string {
  const here = import.meta.url;
  return fileURLToPath(here.endsWith(".ts") ? new URL(`../${name}.ts`, here) : new URL(`./${name}.js`, here));
}
