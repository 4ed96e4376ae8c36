// Modules of which a package ships a copy: where a package needs one module of a dependency that drags in the rest, the release carries
// that module with what it really uses, in a file of its own that is loaded as late as the import it stands for. The licences of all that
// is in it lie beside it. Run from source, the import goes to node_modules as it is written.
import { existsSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { build, type Options } from "tsup";

type Plugin = NonNullable<Options["esbuildPlugins"]>[number];

export interface Vendored {
  /** As it is imported. */
  specifier: string;
  /** Below the package's `dist`. */
  file: string;
  /** Packages whose modules do nothing but define things, though they don't say so: what isn't used of them is left out. */
  pure: RegExp;
  /** Packages that are imported but never reached by what we call, with the names imported from them: to call one throws. */
  unreached: Readonly<Record<string, readonly string[]>>;
}

/** By the package's folder. */
export const VENDORED: Readonly<Record<string, readonly Vendored[]>> = {
  "packages/kube": [
    {
      specifier: "@kubernetes/client-node/dist/config.js",
      file: "vendor/client-node-config.js",
      // The generated API with its 700 models is most of it, and kube has types of its own.
      pure: /[\\/]@kubernetes[\\/]client-node[\\/]dist[\\/]/,
      // Serves its REST client, which is fetch's; ours is Node's own https, for whose options it is asked.
      unreached: { undici: ["Agent", "ProxyAgent", "fetch"] },
    },
  ],
};

/** Sends imports of what is vendored to the copy. */
export function redirectVendored(list: readonly Vendored[]): Plugin {
  return {
    name: "redirect-vendored",
    setup({ onResolve }) {
      onResolve({ filter: /^@/ }, ({ path }) => {
        const found = list.find(({ specifier }) => specifier === path);
        return found && { path: `./${found.file}`, external: true };
      });
    },
  };
}

/** Writes the copy and its notices into `outDir`. */
export async function buildVendored(dir: string, { specifier, file, pure, unreached }: Vendored, outDir: string): Promise<void> {
  const target = join(outDir, dirname(file));
  let inputs: string[] = [];
  const plugin: Plugin = {
    name: "vendor",
    setup({ initialOptions, onEnd, onLoad, onResolve, resolve: find }) {
      initialOptions.metafile = true;
      // An import statement asks for each of its exports, `WebSocket` among them, and Node answers by loading its HTTP client: 7 MiB.
      onResolve({ filter: /^(node:)?http$/ }, ({ path }) => ({ path, namespace: "node-http" }));
      onResolve({ filter: /.*/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (Object.hasOwn(unreached, path)) return { path, namespace: "unreached" };
        if (pluginData === plugin || kind === "entry-point") return undefined;
        // As a module names its neighbour: no need to ask, thousands of times.
        const neighbour = join(resolveDir, path);
        if (path.startsWith(".") && pure.test(neighbour) && statSync(neighbour, { throwIfNoEntry: false })?.isFile())
          return { path: neighbour, sideEffects: false };
        const found = await find(path, { importer, resolveDir, kind, pluginData: plugin });
        return pure.test(found.path) ? { path: found.path, sideEffects: false } : undefined;
      });
      onLoad({ filter: /.*/, namespace: "node-http" }, () => ({
        contents: 'module.exports = process.getBuiltinModule("node:http");',
      }));
      onLoad({ filter: /.*/, namespace: "unreached" }, ({ path }) => ({
        contents: (unreached[path] ?? [])
          .map((name) => `export function ${name}() { throw new Error("${path} is left out of this copy of ${specifier}"); }`)
          .join("\n"),
      }));
      onEnd(({ metafile }) => {
        inputs = Object.values(metafile?.outputs ?? {}).flatMap((output) =>
          Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
        );
      });
    },
  };
  mkdirSync(target, { recursive: true });
  await build({
    config: false,
    entry: { [basename(file, ".js")]: join(dir, "node_modules", specifier) },
    outDir: target,
    format: "esm",
    platform: "node",
    target: "node22",
    clean: false,
    dts: false,
    silent: true,
    // Else it takes `node:http` before the plugin sees it.
    removeNodeProtocol: false,
    noExternal: [/.*/],
    // CommonJS modules among them ask for Node's own by `require`.
    banner: {
      js: 'import { createRequire as vendorRequire } from "node:module";\nconst require = vendorRequire(import.meta.url);',
    },
    esbuildPlugins: [plugin],
  });
  writeFileSync(join(target, "THIRD-PARTY-NOTICES.txt"), notices(inputs));
}

/** Name, version and licence text of each package that a file comes from. */
function notices(files: readonly string[]): string {
  const folders = new Set(files.flatMap((file) => packageFolder(file) ?? []));
  const parts = [...folders].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, string>;
    const texts = globSync(["LICEN[CS]E*", "licen[cs]e*", "NOTICE*"], { cwd: folder }).map((file) =>
      readFileSync(join(folder, file), "utf8").trim(),
    );
    return `${name} ${version} (${license})\n\n${texts.join("\n\n") || `Licensed under ${license}; the package carries no text of it.`}\n`;
  });
  return `Parts of the files in this folder come from these packages.\n\n${parts.sort().join(`\n${"-".repeat(80)}\n\n`)}`;
}

function packageFolder(file: string): string | undefined {
  const match = /^(?:.*:)?(.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file);
  return match && existsSync(join(match[1]!, "package.json")) ? match[1] : undefined;
}
