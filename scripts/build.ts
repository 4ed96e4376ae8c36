// Builds every package's JavaScript in one process. `--if-stale` does nothing where every output is newer than every source, so that
// `pnpm demo` pays for a build once. Names of packages' folders restrict it to these. What was built before stays until all of it is built.
import { copyFileSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build, type Options } from "tsup";
import { buildVendored, redirectVendored, VENDORED } from "./vendor.ts";

interface Manifest {
  version: string;
  /** `standalone`: programs that become one file each, with all they import: what runs as root looks nothing up in node_modules. */
  /** `page`: a folder whose `main.tsx` becomes one script for browsers, in `dist/<page>` with the files beside it. */
  tsup?: { entry?: string[]; standalone?: string[]; page?: string };
}

const args = new Set(process.argv.slice(2));

const named = [...args].filter((arg) => !arg.startsWith("--"));
const folders = named.length > 0 ? named : readdirSync("packages");
const packages = folders.map((dir) => {
  const manifest = JSON.parse(readFileSync(`packages/${dir}/package.json`, "utf8")) as Manifest;
  const { entry = ["src/index.ts"], standalone = [], page } = manifest.tsup ?? {};
  return { dir: `packages/${dir}`, entry, standalone, page, version: manifest.version };
});

/** What stands in a page's folder, and as what it is served; the script is made of the rest. */
const PAGE_FILES = [
  ["", "app.js"],
  ["index.html", "index.html"],
  ["style.css", "app.css"],
  ["icon.svg", "icon.svg"],
] as const;

const newest = (files: string[]): number => Math.max(0, ...files.map((file) => statSync(file).mtimeMs));
const outputOf = (dir: string, entry: string): string => `${dir}/dist/${entry.replace(/^src\//, "").replace(/\.ts$/, ".js")}`;

const isStale = ({ dir, entry, standalone, page }: (typeof packages)[number]): boolean => {
  const outputs = [
    ...[...entry, ...standalone].map((file) => outputOf(dir, file)),
    ...(VENDORED[dir] ?? []).map(({ file }) => `${dir}/dist/${file}`),
    ...(page ? PAGE_FILES.map(([, to]) => `${dir}/dist/${page}/${to}`) : []),
  ];
  if (!outputs.every((file) => existsSync(file))) return true;
  return (
    newest(globSync([`${dir}/src/**`, `${dir}/package.json`, ...(page ? [`${dir}/${page}/**`] : [])])) >
    Math.min(...outputs.map((file) => statSync(file).mtimeMs))
  );
};

const stale = args.has("--if-stale") ? packages.filter(isStale) : packages;
/** Beside `dist`, so that source maps lead to the same places. */
const freshOf = (dir: string): string => `${dir}/.dist-${process.pid}`;
try {
  await buildAll();
  for (const { dir } of stale) swap(freshOf(dir), `${dir}/dist`);
} finally {
  for (const { dir } of stale) rmSync(freshOf(dir), { recursive: true, force: true });
}

async function buildAll(): Promise<void> {
  const builds = await Promise.allSettled(
    stale.flatMap(({ dir, entry, standalone, page, version }) => [
      ...(page ? [buildPage(dir, page)] : []),
      ...(VENDORED[dir] ?? []).map((vendored) => buildVendored(dir, vendored, freshOf(dir))),
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
  const failed = builds.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  if (failed.length > 0) throw failed.length === 1 ? failed[0] : new AggregateError(failed, `${failed.length} builds failed`);
}

async function buildPage(dir: string, page: string): Promise<void> {
  await build({
    ...common(dir),
    tsconfig: `${dir}/${page}/tsconfig.json`,
    entry: { [`${page}/app`]: `${dir}/${page}/main.tsx` },
    platform: "browser",
    target: "es2024",
    splitting: false,
    minify: true,
    noExternal: [/.*/],
  });
  mkdirSync(`${freshOf(dir)}/${page}`, { recursive: true });
  for (const [from, to] of PAGE_FILES) if (from) copyFileSync(`${dir}/${page}/${from}`, `${freshOf(dir)}/${page}/${to}`);
}

/** Each file takes the place of the one before it at once; then what isn't made any more goes: chunks carry a hash in their names. */
function swap(fresh: string, dist: string): void {
  const made = globSync(`${fresh}/**`, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(fresh, join(entry.parentPath, entry.name)));
  for (const file of made) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    renameSync(join(fresh, file), join(dist, file));
  }
  const kept = new Set(made.map((file) => join(dist, file)));
  for (const file of globSync(`${dist}/**/*.js{,.map}`)) if (!kept.has(file)) rmSync(file);
}

function common(dir: string): Options {
  return {
    config: false,
    outDir: freshOf(dir),
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
