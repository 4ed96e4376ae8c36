export { type Status, type StatusCause, StatusError } from "./api/status.ts";
export { type ClusterOptions, type ClusterUser, type EmbeddedCluster, startCluster } from "./cluster.ts";
export type { ContractCase } from "./contracts/contract.ts";
export { type DialerContractOptions, type DialerSubject, dialerContract } from "./contracts/dialer.ts";
export { type HostsOwnerContractOptions, type HostsOwnerSubject, hostsOwnerContract } from "./contracts/hosts-owner.ts";
export {
  type ListenerFactoryContractOptions,
  type ListenerFactorySubject,
  listenerFactoryContract,
} from "./contracts/listener-factory.ts";
export { TESTKIT_ERRORS, testkitError } from "./errors.ts";
export { createStore, type StoreOptions } from "./memory-store.ts";
export type { KubeJson, ObjectMeta, Store, StoreEvent } from "./store.ts";
