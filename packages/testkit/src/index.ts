export { type Status, type StatusCause, StatusError } from "./api/status.ts";
export { type ClusterOptions, type ClusterUser, type EmbeddedCluster, startCluster } from "./cluster.ts";
export type { ContractCase } from "./contracts/contract.ts";
export { type HostsOwnerContractOptions, type HostsOwnerSubject, hostsOwnerContract } from "./contracts/hosts-owner.ts";
export { TESTKIT_ERRORS, testkitError } from "./errors.ts";
export { createStore, type StoreOptions } from "./memory-store.ts";
export type { KubeJson, ObjectMeta, Store, StoreEvent } from "./store.ts";
