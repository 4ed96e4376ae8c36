import type { AcceptPort, SwitchRecord } from "./protocol.ts";

/** What a relay is wanted for. */
export interface RelaySpec {
  namespace: string;
  /** Says what it is for in its name and label, any characters: `dial`, `expose web`, `intercept web`. Made unique and short. */
  purpose: string;
  /** `user@machine`, shown to who finds it. */
  owner: string;
  accept?: readonly AcceptPort[];
  switch?: SwitchRecord;
  /** Further labels of its pods: a switched selector's. */
  podLabels?: Readonly<Record<string, string>>;
  /** How long it stays when nobody is linked, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /** 2: on different nodes where there are, with a disruption budget and short tolerations. Default 1. */
  replicas?: 1 | 2;
  /** With Node 22 or later. Default {@link DEFAULT_IMAGE}. */
  image?: string;
  /** Each for requests and limits. */
  resources?: { cpu?: string; memory?: string };
  imagePullSecrets?: readonly string[];
}

export const DEFAULT_IMAGE = "node:24-slim";
