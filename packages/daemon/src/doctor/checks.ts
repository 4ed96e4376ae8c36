import type { Check } from "./check.ts";
import { carrier } from "./checks/carrier.ts";
import { clock } from "./checks/clock.ts";
import { credentials } from "./checks/credentials.ts";
import { fileLimit } from "./checks/file-limit.ts";
import { fuse } from "./checks/fuse.ts";
import { hostsFile } from "./checks/hosts-file.ts";
import { kubeconfig } from "./checks/kubeconfig.ts";
import { names } from "./checks/names.ts";
import { outsideWorld } from "./checks/outside-world.ts";
import { pool } from "./checks/pool.ts";
import { ports } from "./checks/ports.ts";
import { processes } from "./checks/processes.ts";
import { proxies } from "./checks/proxies.ts";
import { relays } from "./checks/relays.ts";
import { residue } from "./checks/residue.ts";
import { rights } from "./checks/rights.ts";
import { routes } from "./checks/routes.ts";
import { server } from "./checks/server.ts";
import { userNamespaces } from "./checks/user-namespaces.ts";

/** In the order in which they are told: the cluster, shipside itself, the machine. */
export const CHECKS: readonly Check[] = [
  ...[kubeconfig, server, credentials, rights, carrier, relays, clock],
  ...[processes, residue, hostsFile, names],
  ...[pool, ports, routes, proxies, fileLimit, fuse, userNamespaces, outsideWorld],
];
