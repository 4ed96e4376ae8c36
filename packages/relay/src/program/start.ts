import { hostname } from "node:os";
import { type Closer, createCloser, type Logger } from "@shipside/core";
import { relayError } from "../errors.ts";
import { CONTROL_PATHS, FILES_AUTHORITY, type RelayConfig, type RelayStatus } from "../protocol.ts";
import { listenHosts, readConfig } from "./config.ts";
import { answerDial } from "./dial.ts";
import { answerFiles } from "./files/answer.ts";
import { graceTimer } from "./grace.ts";
import { serveHealth } from "./health.ts";
import { inClusterApi, type KubeApi } from "./kube-api.ts";
import { type LinkHandlers, serveLinks } from "./link.ts";
import { jsonLogger } from "./log.ts";
import { removeSelf } from "./removal.ts";
import { startTraffic } from "./traffic.ts";

/** Set when the program is bundled. */
declare const SHIPSIDE_VERSION: string;

export interface StartOptions {
  /** Where the program stands, and beside it what it needs. */
  directory: string;
  env: NodeJS.ProcessEnv;
  /** Resolves when the program is asked to end. */
  stopped: Promise<unknown>;
  write(line: string): void;
}

/** The program, from start to end. Resolves when it has been asked to end, and has. */
export async function start({ directory, env, stopped, write }: StartOptions): Promise<void> {
  await using closer = createCloser();
  const logger = jsonLogger(write);
  const { config, secret } = readConfig(directory);
  const hosts = listenHosts(env);
  const api = inClusterApi(directory, env);

  const pod = hostname();
  const traffic =
    config.accept.length > 0
      ? closer.use(await startTraffic({ config, api, host: hosts.open, pod, version: SHIPSIDE_VERSION, logger }))
      : undefined;
  const handlers = traffic ?? dialOnly({ config, api, pod, logger, closer });
  const { files = [], silenceMs } = config;
  // A file's mode is what the client says: its own umask is in it already.
  if (files.length > 0) process.umask(0);
  const onConnect: LinkHandlers["onConnect"] = (stream, request) =>
    request.authority === FILES_AUTHORITY ? answerFiles(stream, { roots: files, silenceMs }) : answerDial(stream, request);
  closer.use(await serveLinks({ ...{ secret, version: SHIPSIDE_VERSION, host: hosts.control, logger }, ...handlers, onConnect }));
  closer.use(await serveHealth({ ready: () => !closer.closing, host: hosts.open }));
  logger.info("ready", { relay: config.name, version: SHIPSIDE_VERSION, sinceStartMs: Math.round(performance.now()) });
  await stopped;
  await traffic?.terminate();
}

/** What serves the links of a relay that only dials: it is there as long as somebody is linked. */
function dialOnly(options: {
  config: RelayConfig;
  api: KubeApi | undefined;
  pod: string;
  logger: Logger;
  closer: Closer;
}): Pick<LinkHandlers, "onRequest" | "onLinks"> {
  const { config, api, pod, logger, closer } = options;
  const lifetime = new AbortController();
  closer.defer(() => lifetime.abort());
  const end = async (why: string): Promise<void> => {
    logger.info("ending", { why });
    await removeSelf(api, config, logger, lifetime.signal);
  };
  const grace = graceTimer(config.graceSeconds * 1000, () => void end(`nobody has been linked for ${config.graceSeconds} s`));
  closer.defer(() => grace.stop());
  const status = (): RelayStatus => ({
    ...{ name: config.name, pod, version: SHIPSIDE_VERSION, ready: true, leases: [], connections: 0 },
  });
  return {
    onLinks: (count) => grace.set(count > 0),
    async onRequest({ method, path }) {
      if (method === "GET" && path === CONTROL_PATHS.status) return { status: 200, body: status() };
      if (method === "POST" && path === CONTROL_PATHS.end) {
        void end("asked to");
        return { status: 202 };
      }
      throw relayError("RELAY_REQUEST_FAILED", `${method} ${path}: this relay doesn't know that request`);
    },
  };
}
