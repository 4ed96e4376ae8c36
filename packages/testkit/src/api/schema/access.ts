/** Rbac, authorization and authentication (v1), in the notation of `notation.ts`. */
export const ACCESS = `
Role metadata:1ObjectMeta rules:2[PolicyRule]
PolicyRule verbs:1[s] apiGroups:2[s] resources:3[s] resourceNames:4[s] nonResourceURLs:5[s]
ClusterRole metadata:1ObjectMeta rules:2[PolicyRule] aggregationRule:3AggregationRule*
AggregationRule clusterRoleSelectors:1[LabelSelector]
RoleBinding metadata:1ObjectMeta subjects:2[Subject] roleRef:3RoleRef
Subject! kind:1s apiGroup:2s name:3s namespace:4s
RoleRef! apiGroup:1s kind:2s name:3s
ClusterRoleBinding metadata:1ObjectMeta subjects:2[Subject] roleRef:3RoleRef
SubjectAccessReview metadata:1ObjectMeta spec:2SubjectAccessReviewSpec status:3SubjectAccessReviewStatus
SubjectAccessReviewSpec resourceAttributes:1ResourceAttributes* nonResourceAttributes:2NonResourceAttributes* user:3s
  groups:4[s] extra:5{a} uid:6s
ResourceAttributes namespace:1s verb:2s group:3s version:4s resource:5s subresource:6s name:7s
  fieldSelector:8FieldSelectorAttributes* labelSelector:9LabelSelectorAttributes*
FieldSelectorAttributes rawSelector:1s requirements:2[FieldSelectorRequirement]
FieldSelectorRequirement key:1s operator:2s values:3[s]
LabelSelectorAttributes rawSelector:1s requirements:2[LabelSelectorRequirement]
NonResourceAttributes path:1s verb:2s
SubjectAccessReviewStatus allowed:1b denied:4b reason:2s evaluationError:3s
SelfSubjectAccessReview metadata:1ObjectMeta spec:2SelfSubjectAccessReviewSpec status:3SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec resourceAttributes:1ResourceAttributes* nonResourceAttributes:2NonResourceAttributes*
LocalSubjectAccessReview metadata:1ObjectMeta spec:2SubjectAccessReviewSpec status:3SubjectAccessReviewStatus
SelfSubjectRulesReview metadata:1ObjectMeta spec:2SelfSubjectRulesReviewSpec status:3SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec namespace:1s
SubjectRulesReviewStatus resourceRules:1[ResourceRule] nonResourceRules:2[NonResourceRule] incomplete:3b evaluationError:4s
ResourceRule verbs:1[s] apiGroups:2[s] resources:3[s] resourceNames:4[s]
NonResourceRule verbs:1[s] nonResourceURLs:2[s]
TokenReview metadata:1ObjectMeta spec:2TokenReviewSpec status:3TokenReviewStatus
TokenReviewSpec token:1s audiences:2[s]
TokenReviewStatus authenticated:1b user:2UserInfo audiences:4[s] error:3s
UserInfo username:1s uid:2s groups:3[s] extra:4{a}
TokenRequest metadata:1ObjectMeta spec:2TokenRequestSpec status:3TokenRequestStatus
TokenRequestSpec audiences:1[s] expirationSeconds:4i* boundObjectRef:3BoundObjectReference*
BoundObjectReference kind:1s apiVersion:2s name:3s uid:4s
TokenRequestStatus token:1s expirationTimestamp:2t
SelfSubjectReview metadata:1ObjectMeta status:2SelfSubjectReviewStatus
SelfSubjectReviewStatus userInfo:1UserInfo
`;
