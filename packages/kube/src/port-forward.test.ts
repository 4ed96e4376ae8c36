import { type AddressInfo, connect, createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { expect, test } from "vitest";
import { connectCluster } from "./client.ts";
import { SERVER } from "./fixtures/certificates.ts";
import { kubeconfigText, tempDir } from "./fixtures/fake-api.ts";
import { startFakeKubelet } from "./portforward/fixtures/kubelet.ts";

test("a stream to a port of a pod through TLS and the kubeconfig's credentials; closing the cluster ends it", async () => {
  await using stack = new AsyncDisposableStack();
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  stack.defer(() => void echo.close());
  let authorization: string | undefined;
  let accept: string | undefined;
  const kubelet = stack.use(
    await startFakeKubelet({
      answer: (request) => {
        ({ authorization, accept } = request.headers);
        return 101;
      },
    }),
  );
  const front = createTlsServer(SERVER, (socket) => {
    const inner = connect(kubelet.port, "127.0.0.1");
    for (const end of [socket, inner]) end.on("error", () => {}).on("close", () => (end === socket ? inner : socket).destroy());
    socket.pipe(inner).pipe(socket);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  stack.defer(() => void front.close());
  const dir = stack.use(await tempDir());
  const server = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
  const cluster = stack.use(await connectCluster({ kubeconfig: await dir.write("config", kubeconfigText({ server })) }));

  const stream = await cluster.portForward({ namespace: "shop", name: "core-1" }, (echo.address() as AddressInfo).port);
  stream.on("error", () => {});
  stream.write("hello");
  const [reply] = (await new Promise((resolve) => stream.once("data", (chunk) => resolve([chunk])))) as [Buffer];
  expect(reply.toString()).toBe("hello");
  const pod = { namespace: "shop", name: "core-1" };
  expect(cluster.portForwardStats()).toMatchObject({
    carrier: "spdy",
    streams: 1,
    bytes: 10,
    pods: [{ pod, streams: 1, stuck: 0 }],
  });
  expect(authorization).toBe("Bearer t0ken");
  // The real API server answers 406 to a stream that is asked for as JSON.
  expect(accept).toBe("*/*");
  const closed = new Promise((resolve) => stream.once("close", resolve));
  await cluster.close();
  await closed;
});
