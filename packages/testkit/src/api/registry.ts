import { randomUUID } from "node:crypto";
import { copyJson, freezeSharing, type Json } from "../json.ts";
import { time } from "../node/events.ts";
import type { KubeJson, Store } from "../store.ts";
import { ADMISSION } from "./admission/admission.ts";
import { customResources } from "./custom-resources.ts";
import { createDeletion } from "./deletion.ts";
import { withoutEmpty } from "./empty-metadata.ts";
import { STRATEGIES } from "./kinds/index.ts";
import { createServiceAddresses } from "./kinds/service.ts";
import type { Surroundings } from "./kinds/strategy.ts";
import { checkNamespace, generatedName, ownMetadata, validateMetadata } from "./metadata.ts";
import { checkKind } from "./object-kind.ts";
import { type Manager, managersGiven, trackUpdate } from "./patch/managed-fields.ts";
import { applyServerSide } from "./patch/server-side-apply.ts";
import { BUILT_IN, type Resource } from "./resources.ts";
import { kindType } from "./schema/types.ts";
import { alreadyExists, badRequest, conflict, invalid, notFound, StatusError } from "./status.ts";
import type { UserInfo } from "./users.ts";
import { fieldErrors } from "./validation.ts";

export interface WriteOptions {
  /** Undefined where the cluster itself writes. */
  user?: UserInfo;
  dryRun?: boolean;
  /** The cluster itself or its embedder writes: a status that comes with the object stays. */
  trusted?: boolean;
  /** Who is noted in `managedFields`; nobody without it. */
  manager?: string;
  /** What unknown fields lead to (`fieldValidation`). Default "Ignore". They never stay. */
  strictness?: "Ignore" | "Warn" | "Strict";
  warn?(message: string): void;
  /** The object comes from `apply`, with its managedFields. */
  applied?: boolean;
}

export interface DeleteOptions extends WriteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  preconditions?: { uid?: string; resourceVersion?: string };
}

/** The generic registry: names, defaults, admission, validation and lifecycles around the store. */
export interface Registry {
  readonly store: Store;
  /** PEM of the cluster's own authority. */
  readonly ca: string;
  resources(): readonly Resource[];
  find(group: string, version: string, plural: string): Resource | undefined;
  findKind(apiVersion: string, kind: string): Resource | undefined;
  create(resource: Resource, namespace: string, body: Json, options?: WriteOptions): KubeJson;
  /** `subresource` is "status", "finalize" or "" for the object itself. */
  update(resource: Resource, namespace: string, name: string, body: Json, subresource?: string, options?: WriteOptions): KubeJson;
  /** Server-side apply: creates the object where it isn't there. */
  apply(
    resource: Resource,
    namespace: string,
    name: string,
    config: Json,
    subresource: string,
    force: boolean,
    options: WriteOptions,
  ): KubeJson;
  /** `gone` is false where the object now only waits (for finalizers, for the node). */
  delete(resource: Resource, namespace: string, name: string, options?: DeleteOptions): { object: KubeJson; gone: boolean };
  get(resource: Resource, namespace: string, name: string): KubeJson;
  /** The store as one of the cluster's own components uses it: what it writes is noted as its own in `managedFields`. */
  storeOf(component: Component): Store;
}

/** As the real ones call themselves. */
export type Component = "kube-controller-manager" | "kube-scheduler" | "kubelet";

export interface RegistryOptions {
  store: Store;
  ca: string;
  /** Who else works on this store: without them, what they would do is done at once. */
  running: { node: boolean; controllers: boolean };
  now?: () => number;
  /** Further admission: may refuse what is to be stored with a Status. `user` made the request. */
  admit?(user: UserInfo, resource: Resource, object: Json, old: KubeJson | undefined): void;
}

const CRDS = "customresourcedefinitions.apiextensions.k8s.io";

export function createRegistry({ store, ca, running, now = Date.now, admit }: RegistryOptions): Registry {
  const addresses = createServiceAddresses(store);
  const around = (options: WriteOptions): Surroundings => ({
    store,
    ca,
    addresses,
    user: options.user,
    dryRun: options.dryRun ?? false,
  });
  const timestamp = (): string => time(now());

  let custom: { revision: number; resources: readonly Resource[] } = { revision: -1, resources: [] };
  let crdRevision = 0;
  store.subscribe((event) => {
    if (event.resource === CRDS) crdRevision = event.revision;
  });
  const resources = (): readonly Resource[] => {
    if (custom.revision !== crdRevision) custom = { revision: crdRevision, resources: store.list(CRDS).flatMap(customResources) };
    return custom.resources.length === 0 ? BUILT_IN : [...BUILT_IN, ...custom.resources];
  };

  const track = (resource: Resource, old: KubeJson | undefined, next: Json, subresource: string, options: WriteOptions): void => {
    if (options.manager === undefined) return;
    const manager = managerOf(resource, options.manager, "Update", subresource);
    next.metadata.managedFields = trackUpdate(old, next, kindType(resource), manager, next.metadata.managedFields);
  };

  const managerOf = (resource: Resource, name: string, operation: Manager["operation"], subresource: string): Manager => ({
    name,
    operation,
    apiVersion: resource.group ? `${resource.group}/${resource.version}` : resource.version,
    subresource,
    time: timestamp(),
  });

  const validate = (resource: Resource, object: Json, old: KubeJson | undefined): void => {
    const errors = fieldErrors();
    validateMetadata(resource, object, old, errors);
    STRATEGIES[resource.key]?.validate?.(object, errors, old);
    if (errors.causes.length > 0) throw invalid(resource.kind, resource.group, object.metadata.name ?? "", errors.causes);
  };

  const get: Registry["get"] = (resource, namespace, name) => {
    const found = store.get(resource.key, resource.namespaced ? namespace : undefined, name);
    if (!found) throw notFound(resource.key, name);
    return found;
  };

  const registry: Registry = {
    store,
    ca,
    resources,
    get,
    find: (group, version, plural) =>
      resources().find((resource) => resource.plural === plural && resource.group === group && resource.version === version),
    findKind(apiVersion, kind) {
      const [version, group = ""] = apiVersion.split("/").reverse();
      return resources().find((resource) => resource.kind === kind && resource.group === group && resource.version === version);
    },

    create(resource, namespace, input, options = {}) {
      const object = copyJson(input);
      checkKind(resource, object, options);
      const strategy = STRATEGIES[resource.key];
      const { metadata } = object;
      if (metadata.resourceVersion) throw new StatusError(500, "", "resourceVersion should not be set on objects to be created");
      if (resource.namespaced) {
        if (metadata.namespace && namespace && metadata.namespace !== namespace) {
          throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
        }
        metadata.namespace = namespace || metadata.namespace;
        if (!metadata.namespace) throw badRequest("an empty namespace may not be set during creation");
      } else delete metadata.namespace;
      for (const field of ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]) delete metadata[field];
      metadata.uid = randomUUID();
      metadata.creationTimestamp = timestamp();
      if (!metadata.name && metadata.generateName) metadata.name = generatedName(resource, namespace, metadata.generateName, store);
      if (resource.namespaced) checkNamespace(store, resource, metadata.namespace, metadata.name ?? "");
      strategy?.defaults?.(object);
      // What is filled in from here on is nobody's, as with the real server.
      withoutEmpty(metadata);
      if (!options.applied) {
        metadata.managedFields = managersGiven(metadata.managedFields, undefined);
        track(resource, undefined, object, "", options);
      }
      if (metadata.name) {
        if (store.get(resource.key, metadata.namespace, metadata.name)) throw alreadyExists(resource.key, metadata.name);
        strategy?.create?.(object, around(options));
      }
      if (strategy?.initialStatus && !(options.trusted && object.status)) object.status = strategy.initialStatus(object);
      const request = { resource, object, old: undefined, store, warn: options.warn };
      for (const plugin of ADMISSION) plugin.fill?.(request);
      validate(resource, object, undefined);
      for (const plugin of ADMISSION) plugin.check?.(request);
      if (options.user) admit?.(options.user, resource, object, undefined);
      if (options.trusted && object.status && !options.applied) track(resource, undefined, object, "status", options);
      return options.dryRun ? freezeSharing(object) : store.create(resource.key, object);
    },

    update(resource, namespace, name, input, subresource = "", options = {}) {
      const body = copyJson(input);
      checkKind(resource, body, options);
      const { metadata } = body;
      if (metadata.name && metadata.name !== name) {
        throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
      }
      if (resource.namespaced && metadata.namespace && metadata.namespace !== namespace) {
        throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
      }
      const old = get(resource, namespace, name);
      if (metadata.resourceVersion && metadata.resourceVersion !== old.metadata.resourceVersion) throw conflict(resource.key, name);
      if (metadata.uid && metadata.uid !== old.metadata.uid) {
        throw conflict(
          resource.key,
          name,
          `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
        );
      }
      const strategy = STRATEGIES[resource.key];
      let object: Json;
      if (subresource === "status") {
        object = { ...old, status: body.status, metadata: { ...old.metadata, managedFields: metadata.managedFields } };
      } else if (subresource === "finalize") {
        object = { ...old, spec: { ...old["spec"], finalizers: body.spec?.finalizers } };
      } else {
        object = { ...body, metadata: ownMetadata(metadata, old) };
        if (resource.subresources.includes("status")) object.status = old["status"];
        strategy?.defaults?.(object);
        strategy?.update?.(object, old, around(options));
        validate(resource, object, old);
        for (const plugin of ADMISSION) plugin.check?.({ resource, object, old, store, warn: options.warn });
        if (options.user) admit?.(options.user, resource, object, old);
      }
      object.metadata.resourceVersion = old.metadata.resourceVersion;
      if (!options.applied) {
        object.metadata.managedFields = managersGiven(metadata.managedFields, old);
        track(resource, old, object, subresource, options);
      }
      return options.dryRun ? freezeSharing(object) : store.update(resource.key, object);
    },

    apply(resource, namespace, name, input, subresource, force, options) {
      const config = copyJson(input);
      checkKind(resource, config, options);
      if (config.metadata.managedFields?.length) throw badRequest("metadata.managedFields must be nil");
      if (config.metadata.name && config.metadata.name !== name) {
        throw badRequest(`the name of the object (${config.metadata.name}) does not match the name on the URL (${name})`);
      }
      const live = store.get(resource.key, resource.namespaced ? namespace : undefined, name);
      if (!live && subresource) throw notFound(resource.key, name);
      const manager = managerOf(resource, options.manager ?? "unknown", "Apply", subresource);
      const merged = applyServerSide(live, config, kindType(resource), manager, force);
      merged.metadata.name = name;
      const applied = { ...options, applied: true };
      return live
        ? registry.update(resource, namespace, name, merged, subresource, applied)
        : registry.create(resource, namespace, merged, applied);
    },

    delete: createDeletion({ store, running, now, resources, get }),

    storeOf(component) {
      const find = (key: string): Resource => {
        const found = resources().find((resource) => resource.key === key);
        if (!found) throw notFound("resources", key);
        return found;
      };
      const note = (key: string, old: KubeJson | undefined, next: KubeJson): void => {
        const resource = find(key);
        const options = { manager: component };
        track(resource, old, next, "", options);
        if (resource.subresources.includes("status")) track(resource, old, next, "status", options);
      };
      return Object.assign(Object.create(store) as Store, {
        create: (key, object) =>
          registry.create(find(key), object.metadata.namespace ?? "", object, { trusted: true, manager: component }),
        update(key, object) {
          const copy = copyJson(object);
          note(key, store.get(key, object.metadata.namespace, object.metadata.name), copy);
          return store.update(key, copy);
        },
        mutate: (key, namespace, name, change) =>
          store.mutate(key, namespace, name, (copy) => {
            change(copy);
            note(key, store.get(key, namespace, name), copy);
          }),
      } satisfies Partial<Store>);
    },
  };
  return registry;
}
