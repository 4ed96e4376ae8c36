/** Networking, discovery, policy, coordination, storage, certificates and scheduling, in the notation of `notation.ts`. */
export const NETWORK = `
Ingress metadata:1ObjectMeta spec:2IngressSpec status:3IngressStatus
IngressSpec ingressClassName:4s* defaultBackend:1IngressBackend* tls:2[IngressTLS] rules:3[IngressRule]
IngressBackend service:4IngressServiceBackend* resource:3TypedLocalObjectReference*
IngressServiceBackend name:1s port:2ServiceBackendPort
ServiceBackendPort! name:1s number:2i
IngressTLS hosts:1[s] secretName:2s
IngressRule host:1s ~:2IngressRuleValue
IngressRuleValue http:1HTTPIngressRuleValue*
HTTPIngressRuleValue paths:1[HTTPIngressPath]
HTTPIngressPath path:1s pathType:3s* backend:2IngressBackend
IngressStatus loadBalancer:1IngressLoadBalancerStatus
IngressLoadBalancerStatus ingress:1[IngressLoadBalancerIngress]
IngressLoadBalancerIngress ip:1s hostname:2s ports:4[IngressPortStatus]
IngressPortStatus port:1i protocol:2s error:3s*
IngressClass metadata:1ObjectMeta spec:2IngressClassSpec
IngressClassSpec controller:1s parameters:2IngressClassParametersReference*
IngressClassParametersReference apiGroup:1s* kind:2s name:3s scope:4s* namespace:5s*
NetworkPolicy metadata:1ObjectMeta spec:2NetworkPolicySpec
NetworkPolicySpec podSelector:1LabelSelector ingress:2[NetworkPolicyIngressRule] egress:3[NetworkPolicyEgressRule]
  policyTypes:4[s]
NetworkPolicyIngressRule ports:1[NetworkPolicyPort] from:2[NetworkPolicyPeer]
NetworkPolicyPort protocol:1s* port:2x* endPort:3i*
NetworkPolicyPeer podSelector:1LabelSelector* namespaceSelector:2LabelSelector* ipBlock:3IPBlock*
IPBlock cidr:1s except:2[s]
NetworkPolicyEgressRule ports:1[NetworkPolicyPort] to:2[NetworkPolicyPeer]
EndpointSlice metadata:1ObjectMeta addressType:4s endpoints:2[Endpoint] ports:3[SliceEndpointPort]
Endpoint addresses:1[s]= conditions:2EndpointConditions hostname:3s* targetRef:4ObjectReference* deprecatedTopology:5{s}
  nodeName:6s* zone:7s* hints:8EndpointHints*
EndpointConditions ready:1b* serving:2b* terminating:3b*
EndpointHints forZones:1[ForZone] forNodes:2[ForNode]
ForZone name:1s
ForNode name:1s
SliceEndpointPort! name:1s* protocol:2s* port:3i* appProtocol:4s*
PodDisruptionBudget metadata:1ObjectMeta spec:2PodDisruptionBudgetSpec status:3PodDisruptionBudgetStatus
PodDisruptionBudgetSpec minAvailable:1x* selector:2LabelSelector* maxUnavailable:3x* unhealthyPodEvictionPolicy:4s*
PodDisruptionBudgetStatus observedGeneration:1i disruptedPods:2{t} disruptionsAllowed:3i currentHealthy:4i desiredHealthy:5i
  expectedPods:6i conditions:7[Condition]@type
Eviction metadata:1ObjectMeta deleteOptions:2DeleteOptions*
Lease metadata:1ObjectMeta spec:2LeaseSpec
LeaseSpec holderIdentity:1s* leaseDurationSeconds:2i* acquireTime:3u* renewTime:4u* leaseTransitions:5i* strategy:6s*
  preferredHolder:7s*
StorageClass metadata:1ObjectMeta provisioner:2s parameters:3{s} reclaimPolicy:4s* mountOptions:5[s] allowVolumeExpansion:6b*
  volumeBindingMode:7s* allowedTopologies:8[TopologySelectorTerm]
TopologySelectorTerm! matchLabelExpressions:1[TopologySelectorLabelRequirement]
TopologySelectorLabelRequirement key:1s values:2[s]
ClusterTrustBundle metadata:1ObjectMeta spec:2ClusterTrustBundleSpec
ClusterTrustBundleSpec signerName:1s trustBundle:2s
PriorityClass metadata:1ObjectMeta value:2i globalDefault:3b description:4s preemptionPolicy:5a*
`;
