import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { PODS } from "@shipside/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canHaveDrives } from "./mount.drives.ts";
import { canHaveMachine } from "./root.harness.ts";
import { type ProbeWorld, probeWorld } from "./rootless.probe.fixture.ts";
import { PORT } from "./rootless.probe.manifests.ts";
import { type Asked, PROBE } from "./rootless.probe.program.ts";

// One program, in a pod and by `shipside run` as a user without root: what it sees is the same, but for what is listed here.

interface Difference {
  what: RegExp;
  why: string;
}

const DIFFERENCES: readonly Difference[] = [
  {
    what: /^files (\S+) folder$/,
    why: "a volume's own folder is for the user alone: its files are on a machine that others may use",
  },
  { what: /^files \/probe-data\/written$/, why: "each has written it anew" },
  { what: /^(token of|identity extra)$/, why: "the token isn't bound to a pod, whose end would end it" },
  { what: /^nameservers$/, why: "the cluster's names are answered inside, at 127.0.0.53" },
  { what: /^user$/, why: "the user's own ids, not the image's" },
];

/** What an embedded cluster's pod, whose names stand in its hosts file, can't be asked without a DNS. */
const NEEDS_DNS = /^(questions |names (alias|nothing\.|\S+\.$)|urls http:\/\/alias|options|nameservers)/;

type Report = Record<string, unknown>;

/** Each leaf by its path, as text. Folders at the top of a volume have a name of their own. */
function flatten(report: Report, asked: Asked): Map<string, string> {
  const rows = Object.entries(report).flatMap(([section, value]): [string, unknown][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([key, each]) => [`${section} ${key}`, each])
      : [[section, value]],
  );
  return new Map(
    rows.map(([key, value]) => {
      const isVolume = key.startsWith("files ") && asked.volumes.includes(key.slice("files ".length));
      return [isVolume ? `${key} folder` : key, JSON.stringify(value)];
    }),
  );
}

describe.skipIf(!canHaveMachine || !canHaveDrives)("what a program sees", { timeout: 120_000 }, () => {
  let world: ProbeWorld;
  beforeAll(async () => {
    world = await probeWorld();
  }, 240_000);
  afterAll(async () => world?.[Symbol.asyncDispose](), 60_000);

  test("is what it sees in a pod: names in every form, addresses, ports, DNS records, files, token, env", async () => {
    const { home, other, dns } = world;
    const [web, far, db0, db1] = await Promise.all([
      ...[world.address(home, "web"), world.address(other, "web"), world.podAddress("db-0"), world.podAddress("db-1")],
    ]);
    const zone = "svc.cluster.local";
    /** As Kubernetes' DNS specification has them, and CoreDNS. */
    const answers: Record<string, string | string[]> = {
      [`A web.${home}.${zone}`]: [web!],
      [`AAAA web.${home}.${zone}`]: "ENODATA",
      [`A db.${home}.${zone}`]: [db0!, db1!].sort(),
      [`A db-0.db.${home}.${zone}`]: [db0!],
      [`A ${db0!.replaceAll(".", "-")}.${home}.pod.cluster.local`]: [db0!],
      [`A nothing.${home}.${zone}`]: "ENOTFOUND",
      [`A web.nowhere.${zone}`]: "ENOTFOUND",
      [`SRV _http._tcp.web.${home}.${zone}`]: [`web.${home}.${zone}:80`],
      [`SRV _echo._udp.web.${home}.${zone}`]: [`web.${home}.${zone}:5353`],
      [`SRV web.${home}.${zone}`]: [`web.${home}.${zone}:5353`, `web.${home}.${zone}:80`],
      [`SRV _http._tcp.db.${home}.${zone}`]: ["db-0", "db-1"].map((name) => `${name}.db.${home}.${zone}:${PORT}`),
      [`CNAME alias.${home}.${zone}`]: [`web.${other}.${zone}`],
      [`A alias.${home}.${zone}`]: [far!],
      [`PTR ${reverse(web!)}`]: [`web.${home}.${zone}`],
      [`PTR ${reverse(db1!)}`]: [`db-1.db.${home}.${zone}`],
    };
    const volumes = ["/etc/probe-settings", "/probe-keys", "/var/lib/probe/about", "/var/run/secrets/probe-vault", "/probe-data"];
    const account = "/var/run/secrets/kubernetes.io/serviceaccount";
    const asked: Asked = {
      names: [
        ...["web", `web.${home}`, `web.${home}.svc`, `web.${home}.${zone}`, `web.${home}.${zone}.`],
        ...[`web.${other}`, `web.${other}.svc`, `web.${other}.${zone}`],
        ...["db", `db.${home}`, `db.${home}.${zone}`, "db-0.db", `db-1.db.${home}.${zone}`],
        ...["alias", `nothing.${home}.${zone}`, "kubernetes.default", `kubernetes.default.${zone}`, "localhost"],
      ],
      questions: Object.keys(answers),
      urls: [
        "http://web",
        `http://web.${other}`,
        `http://db-0.db:${PORT}`,
        `http://db-1.db.${home}.${zone}:${PORT}`,
        "http://alias",
      ],
      variables: ["WEB_SERVICE_HOST:WEB_SERVICE_PORT"],
      datagrams: ["web:5353", `${web}:5353`],
      volumes: [...volumes, account],
      files: ["/etc/probe.ini", "/var/run/secrets"],
      env: ["WEB_", "DB_", "ALIAS_", "KUBERNETES_", "PROBE_"],
      write: ["/probe-data/written", "in the pod"],
    };
    const question = (more: Partial<Asked>): string => JSON.stringify({ ...asked, ...more });
    const inPod = JSON.parse(await world.asInPod(["node", "-e", PROBE, question(dns === undefined ? {} : { dns })])) as Report;
    const ran = await world.run(
      ["--volumes", "--hostname", "-a", other],
      [...[process.execPath, "-e", PROBE, question({ write: ["/probe-data/written", "by shipside run"] })]],
    );
    expect(ran.code, ran.stderr).toBe(0);
    const here = JSON.parse(ran.stdout) as Report;

    expect(here["questions"]).toEqual(answers);
    expect(here).toMatchObject({
      lowPort: "listens",
      urls: { "http://web": "from web", [`http://db-0.db:${PORT}`]: "from db-0" },
      datagrams: { "web:5353": "re:ping" },
      env: { PROBE_GREETING: `${web} is web`, PROBE_PASSWORD: "hunter2" },
      identity: { username: `system:serviceaccount:${home}:prober` },
      files: { "/probe-keys/password": "link to ..data/password", "/etc/probe.ini": "file 644 level=debug\n" },
    });
    const [there, ours] = [flatten(inPod, asked), flatten(here, asked)];
    const differing = [...new Set([...there.keys(), ...ours.keys()])]
      .filter((key) => dns !== undefined || !NEEDS_DNS.test(key))
      .filter((key) => there.get(key) !== ours.get(key));
    const unlisted = differing.filter((key) => !DIFFERENCES.some(({ what }) => what.test(key)));
    expect(unlisted.map((key) => `${key}: ${there.get(key)} in the pod, ${ours.get(key)} here`)).toEqual([]);
    const gone = DIFFERENCES.filter(
      ({ what }) => (dns !== undefined || !NEEDS_DNS.test("nameservers")) && !differing.some((key) => what.test(key)),
    );
    expect(gone.map(({ why }) => why)).toEqual([]);
    // Written through to the volume, by its owner.
    expect(await world.inPod("probe", ["sh", "-c", "cat /probe-data/written; stat -c ' %u' /probe-data/written"])).toBe(
      "by shipside run 0\n",
    );
  });

  const inside = async (command: readonly string[], options: readonly string[] = []): Promise<string> => {
    const { code, stdout, stderr } = await world.run(options, command);
    expect(code, stderr).toBe(0);
    return stdout;
  };

  const VOLUME = ["--volumes", "--mount-only", "data"];

  test("where mounts are private, and none of the programs is there that mount for others, a claim is a drive all the same", async () => {
    const programs = ["fusermount3", "fusermount", "python3", "sshfs"].map((name) => `/usr/bin/${name}`).filter(existsSync);
    await world.inPod("probe", ["sh", "-c", "rm -f /probe-data/*; echo there > /probe-data/row"]);
    await world.machine.sh(
      `mount --make-rprivate /; for program in ${programs.join(" ")}; do mount --bind /dev/null $program; done`,
    );
    try {
      const script = `cat /probe-data/row; echo here > /probe-data/row; findmnt -n -o FSTYPE /probe-data
        until grep -s back /probe-data/answer; do sleep 0.1; done; cd /probe-data; cat row`;
      const ran = world.run(VOLUME, ["sh", "-c", script]);
      await expect.poll(() => world.inPod("probe", ["cat", "/probe-data/row"]), { timeout: 60_000 }).toBe("here\n");
      await world.inPod("probe", ["sh", "-c", "echo back > /probe-data/answer"]);
      const { code, stdout, stderr } = await ran;
      expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "there\nfuse.shipside\nback\nhere\n" });
      expect(stderr).toMatch(/\/probe-data +persistentVolumeClaim data, by fuse/);
      expect(stderr).not.toContain("can't be used");
      expect(await world.machine.sh(`grep ${world.machine.home} /proc/self/mountinfo || true`)).toBe("");
      expect(await world.machine.sh(`ps -o args= -u ${world.machine.uid} || true`)).toBe("");
      // The map of addresses is meant to stay.
      const left = `cd ${world.machine.home} && find run state \\( ! -type d -o -name 'volumes-*' \\) ! -name addresses.json`;
      expect(await world.machine.sh(left)).toBe("");
      const pods = await world.cluster.list(PODS, { namespace: world.home });
      expect(pods.filter(({ metadata }) => metadata.name.startsWith("shipside-") && !metadata.deletionTimestamp)).toEqual([]);
    } finally {
      await world.machine.sh(`mount --make-rshared /; umount ${programs.join(" ")}`);
    }
  });

  test("where mounts are private, a driver that mounts outside isn't taken; with --driver sync a claim is both ways", async () => {
    await world.inPod("probe", ["sh", "-c", "echo there > /probe-data/row"]);
    await world.machine.sh("mount --make-rprivate /");
    try {
      const read = ["sh", "-c", "cat /probe-data/row; echo here > /probe-data/row"];
      const refused = await world.run([...VOLUME, "--driver", "sshfs"], read);
      expect(refused).toMatchObject({ stdout: "", stderr: expect.stringContaining("error[VOLUMES_DRIVER_UNAVAILABLE]") });
      expect(refused.stderr).toContain("what is mounted isn't seen in the command's namespaces");
      expect(refused.stderr).toContain("sudo mount --make-rshared / changes that); --driver sync does without");
      expect(refused.stderr).not.toContain("deploying a relay");

      const synced = await world.run([...VOLUME, "--driver", "sync"], read);
      expect(synced, synced.stderr).toMatchObject({ code: 0, stdout: "there\n" });
      expect(await world.inPod("probe", ["cat", "/probe-data/row"])).toBe("here\n");
    } finally {
      await world.machine.sh("mount --make-rshared /");
    }
  });

  test("where /dev/fuse may not be opened, a claim is a read-only copy at its path, as is said", async () => {
    await world.inPod("probe", ["sh", "-c", "echo there > /probe-data/row"]);
    await world.machine.sh("chmod 600 /dev/fuse");
    try {
      const copied = await world.run(VOLUME, ["sh", "-c", "cat /probe-data/row; echo here > /probe-data/row"]);
      expect(copied, copied.stderr).toMatchObject({ code: 2, stdout: "there\n" });
      expect(copied.stderr).toContain("Read-only file system");
      expect(copied.stderr).toMatch(
        /driver snapshot: fuse can't be used: this machine lacks the right to open \/dev\/fuse; sshfs /,
      );
      expect(copied.stderr).not.toContain("deploying a relay");
      expect(await world.inPod("probe", ["cat", "/probe-data/row"])).toBe("there\n");
    } finally {
      await world.machine.sh("chmod 666 /dev/fuse");
    }
  });

  test.runIf(existsSync("/usr/bin/busybox"))(
    "a static binary with a resolver of its own finds names, and reaches them",
    async () => {
      const script = `busybox nslookup web.${world.home}.svc.cluster.local; busybox wget -qO- http://web`;
      const said = await inside(["sh", "-c", script]);
      expect(said).toContain(await world.address(world.home, "web"));
      expect(said).toMatch(/from web-\S+$/);
    },
  );

  test("a program in Go talks to kubernetes.default as the workload's service account, with what is at its paths", async () => {
    const account = "/var/run/secrets/kubernetes.io/serviceaccount";
    const server = `--server=https://kubernetes.default --certificate-authority=${account}/ca.crt --token="$(cat ${account}/token)"`;
    const whoAmI = `${world.kubectl} auth whoami -o 'jsonpath={.status.userInfo.username}'`;
    // Named, and by what a program in a pod goes by when it is told nothing.
    const said = await inside(["sh", "-c", `unset KUBECONFIG; ${whoAmI} ${server}; echo; ${whoAmI}`], ["--volumes"]);
    const name = `system:serviceaccount:${world.home}:prober`;
    expect(said).toBe(`${name}\n${name}`);
  });

  test.runIf(existsSync("/usr/bin/javac"))("a JVM finds names, and reaches them", async () => {
    const source = join(world.machine.home, "Names.java");
    await writeFile(
      source,
      `class Names {
         public static void main(String[] names) throws Exception {
           for (var name : names) System.out.println(java.net.InetAddress.getByName(name).getHostAddress());
           System.out.println(new String(new java.net.URL("http://web").openStream().readAllBytes()));
         }
       }`,
    );
    const { home, other } = world;
    const addresses = [await world.address(home, "web"), await world.address(other, "web"), await world.podAddress("db-0")];
    // Else it leaves a folder of its user's in /tmp, for good.
    const said = await inside(["java", "-XX:-UsePerfData", source, "web", `web.${other}.svc`, "db-0.db"], ["-a", other]);
    expect(said.split("\n")).toEqual([...addresses, expect.stringMatching(/^from web-/), ""]);
  });

  test.runIf((process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/npm`)))(
    "npm installs a package from a registry of this machine",
    async () => {
      await using registry = await startRegistry(join(world.machine.home, "registry"));
      const project = join(world.machine.home, "project");
      const script = `mkdir -p ${project} && cd ${project} && npm install --no-audit --no-fund --registry http://127.0.0.1:${registry.port} tiny >&2 && node -p 'require("tiny")'`;
      expect(await inside(["sh", "-c", script], ["--host-port", String(registry.port)])).toBe("tiny as can be\n");
    },
  );
});

/** A registry that has one package. */
async function startRegistry(folder: string): Promise<{ port: number } & AsyncDisposable> {
  const manifest = { name: "tiny", version: "1.0.0", main: "index.js" };
  await mkdir(join(folder, "package"), { recursive: true });
  await writeFile(join(folder, "package/package.json"), JSON.stringify(manifest));
  await writeFile(join(folder, "package/index.js"), 'module.exports = "tiny as can be";\n');
  const tarball = execFileSync("tar", ["-czf", "-", "-C", folder, "package"]);
  const server = createServer((request, response) => {
    if (request.url === "/tiny.tgz") return response.end(tarball);
    const dist = { tarball: `http://127.0.0.1:${port}/tiny.tgz` };
    const versions = { "1.0.0": { ...manifest, dist } };
    return response.end(JSON.stringify({ name: "tiny", "dist-tags": { latest: "1.0.0" }, versions }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const reverse = (address: string): string => `${address.split(".").reverse().join(".")}.in-addr.arpa`;
