// A CI step:
//
//   node with-services.ts database web.shop -- npm run test:integration
//
// runs the command with DATABASE_ADDRESS and WEB_SHOP_ADDRESS (`host:port`) in its environment, for as long as it runs. It needs a
// kubeconfig that may list and watch services and endpointslices and port-forward to pods; no root, no daemon, no hosts file.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openTunnel } from "@shipside/tunnel";

const separator = process.argv.indexOf("--");
const services = process.argv.slice(2, separator);
const [command, ...args] = process.argv.slice(separator + 1);
if (separator < 3 || !command) {
  console.error("usage: node with-services.ts SERVICE... -- COMMAND [ARGUMENT...]");
  process.exit(2);
}

const cancelled = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => cancelled.abort(new Error(`stopped by ${signal}`)));

try {
  await using tunnel = await openTunnel({ bind: "local", services, signal: cancelled.signal });
  const { context, server } = tunnel.cluster.info;
  console.error(`${services.join(", ")} of ${context} (${server})`);

  const env = { ...process.env };
  for (const service of services) env[`${service.toUpperCase().replace(/[^A-Z0-9]/g, "_")}_ADDRESS`] = tunnel.address(service);
  tunnel.events.on("connection-closed", ({ service, error }) => {
    if (error) console.error(`connection to ${service}: ${error.message}`);
  });

  const child = spawn(command, args, { stdio: "inherit", env });
  cancelled.signal.addEventListener("abort", () => child.kill());
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} catch (error) {
  // Every error has a message that says what was attempted, and most a hint that says what to do.
  const { message, hint } = error as { message: string; hint?: string };
  console.error(hint ? `${message}\n${hint}` : message);
  process.exitCode = 1;
}
