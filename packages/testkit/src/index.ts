export { type Authority, createAuthority, type KeyPair } from "./api/certificates.ts";
export { type Status, type StatusCause, StatusError } from "./api/status.ts";
export { type ClusterOptions, type ClusterUser, type EmbeddedCluster, type NodeChoices, startCluster } from "./cluster.ts";
export type { ContractCase } from "./contracts/contract.ts";
export { type DialerContractOptions, type DialerSubject, type DialTarget, dialerContract } from "./contracts/dialer.ts";
export { type EnvFormatContractOptions, envFormatContract, HARD_VALUES } from "./contracts/env-format.ts";
export { type EnvSourceContractOptions, type EnvSourceSubject, envSourceContract } from "./contracts/env-source.ts";
export { type HostsOwnerContractOptions, type HostsOwnerSubject, hostsOwnerContract } from "./contracts/hosts-owner.ts";
export { type InterceptorContractOptions, type InterceptorSubject, interceptorContract } from "./contracts/interceptor.ts";
export {
  type ListenerFactoryContractOptions,
  type ListenerFactorySubject,
  listenerFactoryContract,
} from "./contracts/listener-factory.ts";
export { standstill } from "./contracts/standstill.ts";
export { tcpPair } from "./contracts/tcp-pair.ts";
export {
  type VolumeDriverContractOptions,
  type VolumeDriverSubject,
  type VolumeItem,
  volumeDriverContract,
} from "./contracts/volume-driver.ts";
export { TESTKIT_ERRORS, testkitError } from "./errors.ts";
export type { LinkOptions } from "./faults/slow-link.ts";
export type { AnswerOptions, FaultOptions, FaultScope, Faults, Undo } from "./faults.ts";
export { createStore, type StoreOptions } from "./memory-store.ts";
export { NODE_ERRORS, nodeError } from "./node/errors.ts";
export type { ImageRuntime } from "./node/images.ts";
export type { NodeRuntime } from "./node/runtime.ts";
export type { Node } from "./node/start.ts";
export { SAMPLE_NAMESPACE, sampleCorePath, sampleManifests } from "./sample/manifests.ts";
export type { KubeJson, ObjectMeta, Store, StoreEvent } from "./store.ts";
