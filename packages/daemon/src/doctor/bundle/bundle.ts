import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { arch, release, type } from "node:os";
import { join } from "node:path";
import { codeOf, type EnvEntry, errorToJson } from "@shipside/core";
import { outlineKubeconfig } from "@shipside/kube";
import { connectSessionHosts } from "../../control/hosts.ts";
import { daemonError } from "../../errors.ts";
import { runtimeDir as defaultRuntimeDir, stateDir as defaultStateDir } from "../../paths.ts";
import { version } from "../../version.ts";
import type { DoctorOptions } from "../context.ts";
import type { DoctorReport } from "../run.ts";
import { createMask, type Mask, maskData, maskTexts, soundsSecret } from "./mask.ts";
import { zip } from "./zip.ts";

/** Of a log, its end. */
const LOG_BYTES = 1 << 20;

const README = `What \`shipside doctor --bundle\` found on this machine, for somebody who helps.

doctor.json      what doctor said
versions.json    versions of shipside, Node and the system, and which settings are set
kubeconfig.json  contexts, clusters and users by name; of credentials, only which there are
status.json      open sessions: namespaces, services, addresses, errors
logs/            the ends of the daemon's logs
journals/        what is open and must be undone

Values of env variables, Secrets, tokens, keys and passwords are not in it: those that are known are replaced by *** wherever they stand, and
so is what looks like one. Nobody can know them all: look into it before you hand it on.
`;

/**
 * Writes an archive of all that tells how it stands here, with secrets masked. Throws `BUNDLE_UNWRITABLE`. What can't be read is left out,
 * and named in its place.
 */
export async function writeBundle(
  path: string,
  report: DoctorReport,
  options: DoctorOptions = {},
): Promise<{ path: string; files: string[] }> {
  const { env = process.env } = options;
  const { stateDir = defaultStateDir(env), runtimeDir = defaultRuntimeDir(env) } = options;
  const secrets = new Set(secretsOfEnv(env));
  const kubeconfig = await outlineKubeconfig(options.kubeconfig ?? (env["KUBECONFIG"] || undefined)).then(
    (found) => {
      for (const secret of found.secrets) secrets.add(secret);
      return found.outline as unknown;
    },
    (error: unknown) => ({ error: errorToJson(error).message }),
  );
  const status = await statusOf(runtimeDir, secrets);
  const mask = createMask(secrets);
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  const files = new Map<string, string>([
    ["README.txt", README],
    ["doctor.json", json(maskData(report, mask))],
    ["versions.json", json(maskData(versionsOf(env), mask))],
    // Its names of secrets say which there are.
    ["kubeconfig.json", json(maskTexts(kubeconfig, mask))],
    ["status.json", json(maskData(status, mask))],
  ]);
  for (const [name, text] of await filesIn(stateDir, /\.log(\.\d+)?$/, mask)) files.set(`logs/${name}`, text);
  for (const [name, text] of await filesIn(join(stateDir, "journal"), /./, mask)) files.set(`journals/${name}`, text);
  const archive = zip([...files].map(([name, text]) => ({ name, data: Buffer.from(text) })));
  try {
    await writeFile(path, archive, { mode: 0o600 });
  } catch (cause) {
    throw daemonError("BUNDLE_UNWRITABLE", `could not write ${path}: ${codeOf(cause) ?? (cause as Error).message}`, {
      hint: "name another file: shipside doctor --bundle FILE",
      cause,
    });
  }
  return { path, files: [...files.keys()] };
}

/** Settings that matter to us: those that may be shown with their values, the others' names. */
const SHOWN =
  /^(kubeconfig|(https?|all|no)_proxy|xdg_(state|runtime)_\w+|shipside_\w+|node_(options|extra_ca_certs)|lang|lc_\w+|term)$/i;

function versionsOf(env: NodeJS.ProcessEnv): object {
  return {
    shipside: version,
    node: process.version,
    system: `${type()} ${release()} ${arch()}`,
    uid: process.getuid?.() ?? null,
    env: Object.fromEntries(Object.entries(env).filter(([name]) => SHOWN.test(name))),
  };
}

function secretsOfEnv(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value = ""]) => {
    if (/_proxy$/i.test(name)) {
      const { password = "", username = "" } = URL.parse(value) ?? {};
      return [password, password === "" ? username : ""];
    }
    return soundsSecret(name) ? [value] : [];
  });
}

/** Open sessions. Their secrets are learned on the way: a log may have them. */
async function statusOf(runtimeDir: string, secrets: Set<string>): Promise<unknown> {
  const { clients, failed } = await connectSessionHosts(runtimeDir).catch((error: unknown) => ({
    clients: [],
    failed: [{ path: runtimeDir, error: error as Error }],
  }));
  const processes: unknown[] = [];
  for (const client of clients) {
    const sessions = (await client.call("session.list").catch(() => [])) as Array<{ id: string }>;
    for (const { id } of sessions) {
      const entries = (await client.call("session.env", { id }).catch(() => [])) as EnvEntry[];
      for (const { value, sensitive } of entries) if (sensitive) secrets.add(value);
    }
    processes.push({ ...client.hello, sessions });
    await client.close();
  }
  return { processes, failed: failed.map(({ path, error }) => ({ path, error: errorToJson(error) })) };
}

async function filesIn(dir: string, wanted: RegExp, mask: Mask): Promise<Array<[name: string, text: string]>> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile() && wanted.test(entry.name)).map(({ name }) => name);
  return Promise.all(
    names.sort().map(async (name): Promise<[string, string]> => {
      const text = await readEnd(join(dir, name)).catch((error: unknown) => `could not be read: ${codeOf(error)}\n`);
      return [name, mask(text)];
    }),
  );
}

/** From the beginning of a line. */
async function readEnd(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size <= LOG_BYTES) return await readFile(path, "utf8");
    const bytes = Buffer.alloc(LOG_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, LOG_BYTES, size - LOG_BYTES);
    const text = bytes.toString("utf8", 0, bytesRead);
    return `(the last ${LOG_BYTES >> 10} KiB of ${size >> 10})\n${text.slice(text.indexOf("\n") + 1)}`;
  } finally {
    await handle.close();
  }
}
