import type { PodNetwork } from "./network.ts";

/** No network at all: fake pods ask for no sandbox. */
export function openFake(): PodNetwork {
  const close = async (): Promise<void> => {};
  return {
    mode: "fake",
    hostIP: "10.244.0.1",
    serviceEnv: () => ({}),
    sandbox: async () => {
      throw new Error("fake pods have no sandbox");
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
