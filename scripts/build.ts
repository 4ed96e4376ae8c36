// Builds every package's JavaScript in one process. `--if-stale` does nothing where every output is newer than every source, so that
// `pnpm demo` pays for a build once. Names of packages' folders restrict it to these.
import { existsSync, globSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { build, type Options } from "tsup";
import { buildVendored, redirectVendored, VENDORED } from "./vendor.ts";

interface Manifest {
  version: string;
  /** `standalone`: programs that become one file each, with all they import: what runs as root looks nothing up in node_modules. */
  tsup?: { entry?: string[]; standalone?: string[] };
}

const args = new Set(process.argv.slice(2));

const named = [...args].filter((arg) => !arg.startsWith("--"));
const folders = named.length > 0 ? named : readdirSync("packages");
const packages = folders.map((dir) => {
  const manifest = JSON.parse(readFileSync(`packages/${dir}/package.json`, "utf8")) as Manifest;
  const { entry = ["src/index.ts"], standalone = [] } = manifest.tsup ?? {};
  return { dir: `packages/${dir}`, entry, standalone, version: manifest.version };
});

const newest = (files: string[]): number => Math.max(0, ...files.map((file) => statSync(file).mtimeMs));
const outputOf = (dir: string, entry: string): string => `${dir}/dist/${entry.replace(/^src\//, "").replace(/\.ts$/, ".js")}`;

const isStale = ({ dir, entry, standalone }: (typeof packages)[number]): boolean => {
  const outputs = [
    ...[...entry, ...standalone].map((file) => outputOf(dir, file)),
    ...(VENDORED[dir] ?? []).map(({ file }) => `${dir}/dist/${file}`),
  ];
  if (!outputs.every((file) => existsSync(file))) return true;
  return newest(globSync([`${dir}/src/**`, `${dir}/package.json`])) > Math.min(...outputs.map((file) => statSync(file).mtimeMs));
};

const stale = args.has("--if-stale") ? packages.filter(isStale) : packages;
// Chunks carry a hash in their names: what an earlier build left would be published too.
for (const { dir } of stale) for (const file of globSync(`${dir}/dist/**/*.js{,.map}`)) rmSync(file);
await Promise.all(
  stale.flatMap(({ dir, entry, standalone, version }) => [
    ...(VENDORED[dir] ?? []).map((vendored) => buildVendored(dir, vendored, `${dir}/dist`)),
    ...standalone.map((file) =>
      build({
        ...common(dir),
        entry: { [file.replace(/^src\/|\.ts$/g, "")]: `${dir}/${file}` },
        splitting: false,
        sourcemap: false,
        noExternal: [/.*/],
        define: { SHIPSIDE_VERSION: JSON.stringify(version) },
        esbuildOptions: (options) => {
          options.conditions = ["@shipside/source"];
        },
      }),
    ),
    build({
      ...common(dir),
      entry: entry.map((file) => `${dir}/${file}`),
      splitting: true,
      sourcemap: true,
      // Everything a package.json names stays an import; tsup reads the root's, so it is said here.
      skipNodeModulesBundle: true,
      external: [/^@shipside\//],
      // Else tsup itself would leave them as they are.
      noExternal: (VENDORED[dir] ?? []).map(({ specifier }) => specifier),
      esbuildPlugins: [redirectVendored(VENDORED[dir] ?? [])],
    }),
  ]),
);

function common(dir: string): Options {
  return {
    config: false,
    outDir: `${dir}/dist`,
    tsconfig: `${dir}/tsconfig.json`,
    format: "esm",
    platform: "node",
    target: "node22",
    // Declarations are tsc's (`pnpm build`), and live in the same folder.
    clean: false,
    dts: false,
    silent: args.has("--quiet"),
  };
}
