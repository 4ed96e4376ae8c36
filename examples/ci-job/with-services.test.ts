import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sampleManifests, startCluster } from "@shipside/testkit";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("./with-services.ts", import.meta.url));

/** As a CI system would run it. The condition makes Node take the packages' sources, as the tests do: a published package needs none. */
const job = (kubeconfig: string, ...args: string[]) =>
  promisify(execFile)(process.execPath, ["--conditions=@shipside/source", script, ...args], {
    env: { PATH: process.env["PATH"], KUBECONFIG: kubeconfig },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );

const CHECK = `
  fetch("http://" + process.env.LEAF_SAMPLE_ADDRESS + "/healthz").then(async (answer) => {
    console.log(answer.status);
    process.exit(answer.ok ? 7 : 1);
  });
`;

test("the command finds the services in its environment, and its exit code is the job's", async () => {
  await using cluster = await startCluster();
  await cluster.apply(sampleManifests());
  const { code, stdout, stderr } = await job(cluster.kubeconfigPath, "leaf.sample", "--", process.execPath, "-e", CHECK);
  expect({ code, stdout, stderr }).toMatchObject({
    code: 7,
    stdout: "200\n",
    stderr: expect.stringContaining("leaf.sample of shipside"),
  });
});

test("a mistake is told in a sentence, with what to do, and an exit code that isn't 0", async () => {
  await using cluster = await startCluster();
  await cluster.apply(sampleManifests());
  const unknown = await job(cluster.kubeconfigPath, "laef.sample", "--", "true");
  expect(unknown).toMatchObject({ code: 1, stdout: "" });
  expect(unknown.stderr).toContain("there is no service laef in namespace sample\nit has ");
  expect(await job(cluster.kubeconfigPath, "leaf")).toMatchObject({ code: 2, stderr: expect.stringContaining("usage") });
});
