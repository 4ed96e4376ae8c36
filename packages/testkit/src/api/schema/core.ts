/** The rest of core/v1, in the notation of `notation.ts`. */
export const CORE = `
ConfigMap metadata:1ObjectMeta immutable:4b* data:2{s} binaryData:3{y}
Secret metadata:1ObjectMeta immutable:5b* data:2{y} stringData:4{s} type:3s
Service metadata:1ObjectMeta spec:2ServiceSpec status:3ServiceStatus
ServiceSpec ports:1[ServicePort]@port,protocol selector:2{s}! clusterIP:3s clusterIPs:18[s] type:4s externalIPs:5[s]
  sessionAffinity:7s loadBalancerIP:8s loadBalancerSourceRanges:9[s] externalName:10s externalTrafficPolicy:11s
  healthCheckNodePort:12i publishNotReadyAddresses:13b sessionAffinityConfig:14SessionAffinityConfig* ipFamilies:19[s]
  ipFamilyPolicy:17s* allocateLoadBalancerNodePorts:20b* loadBalancerClass:21s* internalTrafficPolicy:22s*
  trafficDistribution:23s*
ServicePort name:1s protocol:2s appProtocol:6s* port:3i targetPort:4x nodePort:5i
SessionAffinityConfig clientIP:1ClientIPConfig*
ClientIPConfig timeoutSeconds:1i*
ServiceStatus loadBalancer:1LoadBalancerStatus conditions:2[Condition]@type
LoadBalancerStatus ingress:1[LoadBalancerIngress]
LoadBalancerIngress ip:1s hostname:2s ipMode:3s* ports:4[PortStatus]
PortStatus port:1i protocol:2s error:3s*
Endpoints metadata:1ObjectMeta subsets:2[EndpointSubset]
EndpointSubset addresses:1[EndpointAddress] notReadyAddresses:2[EndpointAddress] ports:3[EndpointPort]
EndpointAddress! ip:1s hostname:3s nodeName:4s* targetRef:2ObjectReference*
ObjectReference! kind:1s namespace:2s name:3s uid:4s apiVersion:5s resourceVersion:6s fieldPath:7s
EndpointPort! name:1s port:2i protocol:3s appProtocol:4s*
Event metadata:1ObjectMeta involvedObject:2ObjectReference reason:3s message:4s source:5EventSource firstTimestamp:6t
  lastTimestamp:7t count:8i type:9s eventTime:10u series:11EventSeries* action:12s related:13ObjectReference*
  reportingComponent:14s reportingInstance:15s
EventSource component:1s host:2s
EventSeries count:1i lastObservedTime:2u
Namespace metadata:1ObjectMeta spec:2NamespaceSpec status:3NamespaceStatus
NamespaceSpec finalizers:1[s]
NamespaceStatus phase:1s conditions:2[NamespaceCondition]@type
NamespaceCondition type:1s status:2s lastTransitionTime:4t reason:5s message:6s
Node metadata:1ObjectMeta spec:2NodeSpec status:3NodeStatus
NodeSpec podCIDR:1s podCIDRs:7[s]= providerID:3s unschedulable:4b taints:5[Taint] configSource:6NodeConfigSource* externalID:2s
Taint key:1s value:2s effect:3s timeAdded:4t*
NodeConfigSource configMap:2ConfigMapNodeConfigSource*
ConfigMapNodeConfigSource namespace:1s name:2s uid:3s resourceVersion:4s kubeletConfigKey:5s
NodeStatus capacity:1{q} allocatable:2{q} phase:3s conditions:4[NodeCondition]@type addresses:5[NodeAddress]@type
  daemonEndpoints:6NodeDaemonEndpoints nodeInfo:7NodeSystemInfo images:8[ContainerImage] volumesInUse:9[s]
  volumesAttached:10[AttachedVolume] config:11a* runtimeHandlers:12[NodeRuntimeHandler] features:13NodeFeatures*
  declaredFeatures:14[s]
NodeCondition type:1s status:2s lastHeartbeatTime:3t lastTransitionTime:4t reason:5s message:6s
NodeAddress type:1s address:2s
NodeDaemonEndpoints kubeletEndpoint:1DaemonEndpoint
DaemonEndpoint Port:1i
NodeSystemInfo machineID:1s systemUUID:2s bootID:3s kernelVersion:4s osImage:5s containerRuntimeVersion:6s kubeletVersion:7s
  kubeProxyVersion:8s operatingSystem:9s architecture:10s swap:11NodeSwapStatus*
NodeSwapStatus capacity:1i*
ContainerImage names:1[s] sizeBytes:2i
AttachedVolume name:1s devicePath:2s
NodeRuntimeHandler name:1s features:2NodeRuntimeHandlerFeatures*
NodeRuntimeHandlerFeatures recursiveReadOnlyMounts:1b* userNamespaces:2b*
NodeFeatures supplementalGroupsPolicy:1b*
PersistentVolume metadata:1ObjectMeta spec:2PersistentVolumeSpec status:3PersistentVolumeStatus
PersistentVolumeSpec capacity:1{q} ~:2PersistentVolumeSource accessModes:3[s] claimRef:4ObjectReference*
  persistentVolumeReclaimPolicy:5s storageClassName:6s mountOptions:7[s] volumeMode:8s* nodeAffinity:9VolumeNodeAffinity*
  volumeAttributesClassName:10s*
PersistentVolumeSource gcePersistentDisk:1a* awsElasticBlockStore:2a* hostPath:3HostPathVolumeSource* glusterfs:4a*
  nfs:5NFSVolumeSource* rbd:6a* iscsi:7a* cinder:8a* cephfs:9a* fc:10a* flocker:11a* flexVolume:12a* azureFile:13a*
  vsphereVolume:14a* quobyte:15a* azureDisk:16a* photonPersistentDisk:17a* portworxVolume:18a* scaleIO:19a*
  local:20LocalVolumeSource* storageos:21a* csi:22a*
LocalVolumeSource path:1s fsType:2s*
VolumeNodeAffinity required:1NodeSelector*
PersistentVolumeStatus phase:1s message:2s reason:3s lastPhaseTransitionTime:4t*
PersistentVolumeClaim metadata:1ObjectMeta spec:2PersistentVolumeClaimSpec status:3PersistentVolumeClaimStatus
PersistentVolumeClaimStatus phase:1s accessModes:2[s] capacity:3{q} conditions:4[PersistentVolumeClaimCondition]@type
  allocatedResources:5{q} allocatedResourceStatuses:7{s} currentVolumeAttributesClassName:8s*
  modifyVolumeStatus:9ModifyVolumeStatus*
PersistentVolumeClaimCondition type:1s status:2s lastProbeTime:3t lastTransitionTime:4t reason:5s message:6s
ModifyVolumeStatus targetVolumeAttributesClassName:1s status:2s
ServiceAccount metadata:1ObjectMeta secrets:2[ObjectReference]@name imagePullSecrets:3[LocalObjectReference]
  automountServiceAccountToken:4b*
LimitRange metadata:1ObjectMeta spec:2LimitRangeSpec
LimitRangeSpec limits:1[LimitRangeItem]
LimitRangeItem type:1s max:2{q} min:3{q} default:4{q} defaultRequest:5{q} maxLimitRequestRatio:6{q}
ResourceQuota metadata:1ObjectMeta spec:2ResourceQuotaSpec status:3ResourceQuotaStatus
ResourceQuotaSpec hard:1{q} scopes:2[s] scopeSelector:3ScopeSelector*
ScopeSelector! matchExpressions:1[ScopedResourceSelectorRequirement]
ScopedResourceSelectorRequirement scopeName:1s operator:2s values:3[s]
ResourceQuotaStatus hard:1{q} used:2{q}
ReplicationController metadata:1ObjectMeta spec:2ReplicationControllerSpec status:3ReplicationControllerStatus
ReplicationControllerSpec replicas:1i* minReadySeconds:4i selector:2{s}! template:3PodTemplateSpec*
ReplicationControllerStatus replicas:1i fullyLabeledReplicas:2i readyReplicas:4i availableReplicas:5i observedGeneration:3i
  conditions:6[ReplicationControllerCondition]@type
ReplicationControllerCondition type:1s status:2s lastTransitionTime:3t reason:4s message:5s
Binding metadata:1ObjectMeta target:2ObjectReference
`;
