import { readFile } from "node:fs/promises";
import { inspectorError } from "../errors.ts";

/** Nothing from elsewhere, nothing inline, in no frame; pictures only from our own API. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/app.css": ["app.css", "text/css; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
};

/** A file of the page; undefined where the path is none of it. Rejects with `INSPECTOR_PAGE_MISSING`. */
export async function pageFile(
  path: string,
  folder: URL = new URL("./page/", import.meta.url),
): Promise<{ type: string; bytes: Uint8Array } | undefined> {
  const found = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (!found) return undefined;
  try {
    return { type: found[1], bytes: await readFile(new URL(found[0], folder)) };
  } catch (cause) {
    throw inspectorError(
      "INSPECTOR_PAGE_MISSING",
      `the inspector's page could not be read: ${new URL(found[0], folder).pathname}`,
      {
        cause,
        hint: "the package was not built (pnpm build), or its files were moved; the API works without it",
      },
    );
  }
}
