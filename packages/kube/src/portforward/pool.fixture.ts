import { once } from "node:events";
import { type FakeKubeletOptions, startFakeKubelet } from "./kubelet.fixture.ts";
import { createPortForwardPool, type PortForwardPool, type PortForwardPoolOptions } from "./pool.ts";
import { upgradeTo } from "./upgrade.fixture.ts";

export const POD = { namespace: "ns", name: "pod" };

/** A pool, and a kubelet that it reaches. */
export async function setUp(options: FakeKubeletOptions & { pool?: Partial<PortForwardPoolOptions> } = {}) {
  const kubelet = await startFakeKubelet(options);
  const pool = createPortForwardPool({ upgrade: upgradeTo(() => kubelet.port), ...options.pool });
  return {
    kubelet,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.close();
      await kubelet[Symbol.asyncDispose]();
    },
  };
}

/** An answer by a stream of its own. */
export async function exchange(pool: PortForwardPool, port: number, text: string): Promise<string> {
  const stream = await pool.open(POD, port);
  stream.write(text);
  const [answer] = (await once(stream, "data")) as [Buffer];
  stream.destroy();
  return answer.toString();
}
