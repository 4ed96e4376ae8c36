/** A field manager of metadata.managedFields. */
export interface FieldOwner {
  manager: string;
  operation: string;
}

/** Of metadata.managedFields, the API reference's ManagedFieldsEntry. */
interface ManagedFields extends Partial<FieldOwner> {
  subresource?: string;
  fieldsV1?: { "f:spec"?: { "f:selector"?: object } };
}

/** Under which both the developer's machine and the relay write. */
export const FIELD_MANAGER = "shipside";

const managedFields = (service: object): readonly ManagedFields[] =>
  (service as { metadata?: { managedFields?: readonly ManagedFields[] } }).metadata?.managedFields ?? [];

const isOurs = ({ manager, operation, subresource }: ManagedFields): boolean =>
  manager === FIELD_MANAGER && operation === "Update" && !subresource;

/** For the record: a patch makes us the selector's owner, and takes it from whoever was (structured merge, KEP-555). */
export const selectorOwners = (service: object): FieldOwner[] =>
  managedFields(service).flatMap((entry) =>
    entry.fieldsV1?.["f:spec"]?.["f:selector"] && !isOurs(entry)
      ? [{ manager: entry.manager ?? "", operation: entry.operation ?? "" }]
      : [],
  );

/**
 * The JSON patch that, after the selector is restored, gives it back to its owners, else whoever applies another one later, server-side,
 * would be told of a conflict with us. Undefined where we own nothing.
 */
export function disownPatch(service: object, owners: readonly FieldOwner[]): readonly object[] | undefined {
  const ours = managedFields(service).find(isOurs);
  const selector = ours?.fieldsV1?.["f:spec"]?.["f:selector"];
  if (!ours) return undefined;
  const others = managedFields(service)
    .filter((entry) => entry !== ours)
    .map((entry) => {
      const owned = owners.some(({ manager, operation }) => manager === entry.manager && operation === entry.operation);
      if (!owned || !selector || entry.subresource) return entry;
      return { ...entry, fieldsV1: { ...entry.fieldsV1, "f:spec": { ...entry.fieldsV1?.["f:spec"], "f:selector": selector } } };
    });
  const { uid, resourceVersion } = (service as { metadata: { uid?: string; resourceVersion?: string } }).metadata;
  return [
    { op: "test", path: "/metadata/uid", value: uid },
    { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
    // An empty list would leave it as it is; one empty entry says that there are none.
    { op: "replace", path: "/metadata/managedFields", value: others.length > 0 ? others : [{}] },
  ];
}
