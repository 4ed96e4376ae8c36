import type { Json } from "../../json.ts";
import type { KubeJson, Store } from "../../store.ts";
import type { Resource } from "../resources.ts";
import { limitRanger } from "./limit-range.ts";
import { podSecurity } from "./pod-security-admission.ts";
import { resourceQuota } from "./resource-quota.ts";

export interface AdmissionRequest {
  resource: Resource;
  object: Json;
  /** Undefined where the object is made. */
  old: KubeJson | undefined;
  store: Store;
  warn?: ((message: string) => void) | undefined;
}

/** One of the API server's admission plugins. Both throw a Status. */
export interface Admission {
  /** Before validation: may change the object. */
  fill?(request: AdmissionRequest): void;
  /** After validation. */
  check?(request: AdmissionRequest): void;
}

/** In the real server's order: quota comes last, when nothing else can refuse. */
export const ADMISSION: readonly Admission[] = [limitRanger, podSecurity, resourceQuota];
