/** Metadata, label selectors and options (meta/v1), in the notation of `notation.ts`. */
export const META = `
ObjectMeta name:1s generateName:2s namespace:3s selfLink:4s uid:5s resourceVersion:6s generation:7i creationTimestamp:8t
  deletionTimestamp:9t* deletionGracePeriodSeconds:10i* labels:11{s} annotations:12{s} ownerReferences:13[OwnerReference]@uid
  finalizers:14[s]= managedFields:17[ManagedFieldsEntry]
OwnerReference! apiVersion:5s kind:1s name:3s uid:4s controller:6b* blockOwnerDeletion:7b*
ManagedFieldsEntry manager:1s operation:2s apiVersion:3s time:4t* fieldsType:6s fieldsV1:7j* subresource:8s
LabelSelector! matchLabels:1{s} matchExpressions:2[LabelSelectorRequirement]
LabelSelectorRequirement key:1s operator:2s values:3[s]
DeleteOptions gracePeriodSeconds:1i* preconditions:2Preconditions* orphanDependents:3b* propagationPolicy:4s* dryRun:5[s]
  ignoreStoreReadErrorWithClusterBreakingPotential:6b*
Preconditions uid:1s* resourceVersion:2s*
Condition type:1s status:2s observedGeneration:3i lastTransitionTime:4t reason:5s message:6s
`;
