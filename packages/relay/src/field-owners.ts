/**
 * Whoever patches a field becomes its owner, and takes it from whoever was (structured merge, KEP-555). After a Service's selector is
 * restored it is given back to them: else whoever applies another one later, server-side, would be told of a conflict with us.
 */

export interface FieldOwner {
  manager: string;
  operation: string;
}

/** Of metadata.managedFields, the API reference's ManagedFieldsEntry. */
export interface ManagedFields extends Partial<FieldOwner> {
  subresource?: string;
  fieldsV1?: { "f:spec"?: { "f:selector"?: object } };
}

/** As the developer's machine names itself in a patch, and the relay as its user agent does. */
const OURS: readonly unknown[] = ["shipside", "shipside-relay"];

const isOurs = ({ manager, operation, subresource }: ManagedFields): boolean =>
  OURS.includes(manager) && operation === "Update" && !subresource;

const selectorIn = ({ fieldsV1 }: ManagedFields): object | undefined => fieldsV1?.["f:spec"]?.["f:selector"];

/** Who owned the selector before us. */
export const selectorOwners = (fields: readonly ManagedFields[] = []): FieldOwner[] =>
  fields.flatMap((entry) =>
    selectorIn(entry) && !isOurs(entry) ? [{ manager: entry.manager ?? "", operation: entry.operation ?? "" }] : [],
  );

/** The entries without ours, what we own of the selector being its owners' again. Undefined where we own nothing. */
export function disowned(
  fields: readonly ManagedFields[] = [],
  owners: readonly FieldOwner[] = [],
): readonly ManagedFields[] | undefined {
  const ours = fields.filter(isOurs);
  if (ours.length === 0) return undefined;
  const selectors = ours.map(selectorIn).filter((selector) => selector !== undefined);
  const others = fields
    .filter((entry) => !ours.includes(entry))
    .map((entry) => {
      const owned = owners.some(({ manager, operation }) => manager === entry.manager && operation === entry.operation);
      if (!owned || selectors.length === 0 || entry.subresource) return entry;
      const selector = Object.assign({}, ...selectors) as object;
      return { ...entry, fieldsV1: { ...entry.fieldsV1, "f:spec": { ...entry.fieldsV1?.["f:spec"], "f:selector": selector } } };
    });
  // An empty list would leave it as it is; one empty entry says that there are none.
  return others.length > 0 ? others : [{}];
}
