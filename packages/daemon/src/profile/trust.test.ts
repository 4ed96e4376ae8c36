import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planText } from "./plan.ts";
import { assertTrusted, distrusted } from "./trust.ts";

let root: string;
let home: string;
let repository: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "shipside-trust-")));
  home = join(root, "home");
  repository = join(home, "src", "shop");
  await mkdir(join(home, ".kube"), { recursive: true });
  await mkdir(join(repository, ".git", "hooks"), { recursive: true });
  await writeFile(join(home, ".kube", "dev"), "");
  await symlink(join(home, ".kube", "dev"), join(repository, "mine"));
  await symlink(home, join(repository, "out"));
  await symlink(join(home, ".not-there-yet"), join(repository, "dangling"));
  await symlink("loop", join(repository, "loop"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const env = (): NodeJS.ProcessEnv => ({ HOME: home, XDG_CONFIG_HOME: join(home, ".config") });
const asked = async (text: string, more: { KUBECONFIG?: string; file?: string; given?: string[] } = {}): Promise<string[]> => {
  const { file = join(repository, "shipside.yaml"), given = [], ...variables } = more;
  const plan = planText(text.replaceAll("HOME", home), file, { env: env(), defaults: { kubeconfig: "/of/the/user" } });
  const found = await distrusted(plan, { given: ["/of/the/user", ...given], env: { ...env(), ...variables } });
  return found.map(({ what, entry }) => `${what} ${entry}`);
};
const kubeconfig = (path: string): string => `kubeconfig: ${JSON.stringify(path)}\nteleports:\n  - name: core\n`;
const envFile = (path: string): string => `envFiles:\n  - workload: deployment/core\n    file: ${JSON.stringify(path)}\n`;

test("a kubeconfig that came with the repository isn't used unasked: it could name any program", async () => {
  for (const path of ["./evil", "evil", "../evil", "HOME/evil", "/tmp/evil", "HOME/.kube/../src/shop/evil"])
    expect(await asked(kubeconfig(path)), path).toEqual(["kubeconfig teleports.core"]);
  expect(await asked(`teleports:\n  - name: core\n    kubeconfig: evil\n`)).toEqual(["kubeconfig teleports.core"]);
});

test("nor one beside the user's own, which would lead the user's token to another server", async () => {
  const list = [join(repository, "evil"), "HOME/.kube/dev"].join(delimiter);
  expect(await asked(kubeconfig(list))).toEqual(["kubeconfig teleports.core"]);
});

test("the user's own are: below ~/.kube, in KUBECONFIG, on the command line", async () => {
  expect(await asked(kubeconfig("HOME/.kube/dev"))).toEqual([]);
  expect(await asked(kubeconfig("mine"))).toEqual([]);
  expect(await asked(kubeconfig("k3d"), { KUBECONFIG: join(repository, "k3d") })).toEqual([]);
  expect(await asked(kubeconfig("k3d"), { given: [join(repository, "k3d")] })).toEqual([]);
  expect(await asked("teleports:\n  - name: core\n")).toEqual([]);
});

test("volumes are mounted in the file's own folder only", async () => {
  const mount = (path: string): string =>
    `mounts:\n  - workload: core\n    path: ${path}\nteleports:\n  - workload: core\n    mount: ${path}\n`;
  expect(await asked(mount("root"))).toEqual([]);
  for (const path of ["..", "../other", "HOME/.config", ".git/hooks"])
    expect(await asked(mount(path)), path).toEqual(["file teleports[0]", "file mounts[0]"]);
});

test("files are written in the file's own folder only, whatever links there are, and nothing of git's", async () => {
  for (const path of [
    "HOME/.bashrc",
    "~/.ssh/authorized_keys",
    "../other/.env",
    "out/.bashrc",
    "dangling",
    "loop",
    ".git/config",
    "out/src/shop/.git/hooks/x",
    "/etc/x",
  ])
    expect(await asked(envFile(path)), path).toEqual(["file envFiles[0]"]);
  for (const path of [".env", "./new/folder/.env", "out/src/shop/.env", "..env", ".gitignored"])
    expect(await asked(envFile(path)), path).toEqual([]);
});

test("what the user saved is the user's own", async () => {
  const file = join(home, ".config", "shipside", "profiles", "core.yaml");
  expect(await asked(kubeconfig("/anywhere"), { file })).toEqual([]);
});

test("all of it is told, with its line and what to do", async () => {
  const plan = planText(`${kubeconfig("./evil")}${envFile("../x")}`, join(repository, "shipside.yaml"), { env: env() });
  const found = await distrusted(plan, { env: env() });
  expect(() => assertTrusted(plan, found)).toThrow(
    expect.objectContaining({
      code: "PROFILE_UNTRUSTED",
      message: expect.stringMatching(/shipside\.yaml:3: teleports\.core names the kubeconfig .*evil.*\n.*writes .*x, outside/s),
      hint: expect.stringContaining("--trust"),
    }),
  );
});
