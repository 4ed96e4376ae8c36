/** Pods and all that is in them (core/v1), in the notation of `notation.ts`. */
export const PODS = `
Pod metadata:1ObjectMeta spec:2PodSpec status:3PodStatus
PodSpec volumes:1[Volume]@name initContainers:20[Container]@name containers:2[Container]@name
  ephemeralContainers:34[EphemeralContainer]@name restartPolicy:3s terminationGracePeriodSeconds:4i* activeDeadlineSeconds:5i*
  dnsPolicy:6s nodeSelector:7{s}! serviceAccountName:8s serviceAccount:9s automountServiceAccountToken:21b* nodeName:10s
  hostNetwork:11b hostPID:12b hostIPC:13b shareProcessNamespace:27b* securityContext:14PodSecurityContext*
  imagePullSecrets:15[LocalObjectReference]@name hostname:16s subdomain:17s affinity:18Affinity* schedulerName:19s
  tolerations:22[Toleration] hostAliases:23[HostAlias]@ip priorityClassName:24s priority:25i* dnsConfig:26PodDNSConfig*
  readinessGates:28[PodReadinessGate] runtimeClassName:29s* enableServiceLinks:30b* preemptionPolicy:31s* overhead:32{q}
  topologySpreadConstraints:33[TopologySpreadConstraint]@topologyKey,whenUnsatisfiable setHostnameAsFQDN:35b* os:36PodOS*
  hostUsers:37b* schedulingGates:38[PodSchedulingGate]@name resourceClaims:39[a]@name resources:40ResourceRequirements*
  hostnameOverride:41s* schedulingGroup:43a*
Volume name:1s ~:2VolumeSource
VolumeSource hostPath:1HostPathVolumeSource* emptyDir:2EmptyDirVolumeSource* gcePersistentDisk:3a* awsElasticBlockStore:4a*
  gitRepo:5a* secret:6SecretVolumeSource* nfs:7NFSVolumeSource* iscsi:8a* glusterfs:9a*
  persistentVolumeClaim:10PersistentVolumeClaimVolumeSource* rbd:11a* flexVolume:12a* cinder:13a* cephfs:14a* flocker:15a*
  downwardAPI:16DownwardAPIVolumeSource* fc:17a* azureFile:18a* configMap:19ConfigMapVolumeSource* vsphereVolume:20a*
  quobyte:21a* azureDisk:22a* photonPersistentDisk:23a* projected:26ProjectedVolumeSource* portworxVolume:24a* scaleIO:25a*
  storageos:27a* csi:28CSIVolumeSource* ephemeral:29EphemeralVolumeSource* image:30ImageVolumeSource*
HostPathVolumeSource path:1s type:2s*
EmptyDirVolumeSource medium:1s sizeLimit:2q*
SecretVolumeSource secretName:1s items:2[KeyToPath] defaultMode:3i* optional:4b*
KeyToPath key:1s path:2s mode:3i*
NFSVolumeSource server:1s path:2s readOnly:3b
PersistentVolumeClaimVolumeSource claimName:1s readOnly:2b
DownwardAPIVolumeSource items:1[DownwardAPIVolumeFile] defaultMode:2i*
DownwardAPIVolumeFile path:1s fieldRef:2ObjectFieldSelector* resourceFieldRef:3ResourceFieldSelector* mode:4i*
ObjectFieldSelector! apiVersion:1s fieldPath:2s
ResourceFieldSelector! containerName:1s resource:2s divisor:3q
ConfigMapVolumeSource ~:1LocalObjectReference items:2[KeyToPath] defaultMode:3i* optional:4b*
LocalObjectReference! name:1s
ProjectedVolumeSource sources:1[VolumeProjection] defaultMode:2i*
VolumeProjection secret:1SecretProjection* downwardAPI:2DownwardAPIProjection* configMap:3ConfigMapProjection*
  serviceAccountToken:4ServiceAccountTokenProjection* clusterTrustBundle:5ClusterTrustBundleProjection*
  podCertificate:6PodCertificateProjection*
SecretProjection ~:1LocalObjectReference items:2[KeyToPath] optional:4b*
DownwardAPIProjection items:1[DownwardAPIVolumeFile]
ConfigMapProjection ~:1LocalObjectReference items:2[KeyToPath] optional:4b*
ServiceAccountTokenProjection audience:1s expirationSeconds:2i* path:3s
ClusterTrustBundleProjection name:1s* signerName:2s* labelSelector:3LabelSelector* optional:5b* path:4s
PodCertificateProjection signerName:1s keyType:2s maxExpirationSeconds:3i* credentialBundlePath:4s keyPath:5s
  certificateChainPath:6s userAnnotations:7{s}
CSIVolumeSource driver:1s readOnly:2b* fsType:3s* volumeAttributes:4{s} nodePublishSecretRef:5LocalObjectReference*
EphemeralVolumeSource volumeClaimTemplate:1PersistentVolumeClaimTemplate*
PersistentVolumeClaimTemplate metadata:1ObjectMeta spec:2PersistentVolumeClaimSpec
PersistentVolumeClaimSpec accessModes:1[s] selector:4LabelSelector* resources:2VolumeResourceRequirements volumeName:3s
  storageClassName:5s* volumeMode:6s* dataSource:7TypedLocalObjectReference* dataSourceRef:8TypedObjectReference*
  volumeAttributesClassName:9s*
VolumeResourceRequirements limits:1{q} requests:2{q}
TypedLocalObjectReference! apiGroup:1s* kind:2s name:3s
TypedObjectReference apiGroup:1s* kind:2s name:3s namespace:4s*
ImageVolumeSource reference:1s pullPolicy:2s
Container name:1s image:2s command:3[s] args:4[s] workingDir:5s ports:6[ContainerPort]@containerPort,protocol
  envFrom:19[EnvFromSource] env:7[EnvVar]@name resources:8ResourceRequirements resizePolicy:23[ContainerResizePolicy]
  restartPolicy:24s* restartPolicyRules:25[a] volumeMounts:9[VolumeMount]@mountPath volumeDevices:21[VolumeDevice]@devicePath
  livenessProbe:10Probe* readinessProbe:11Probe* startupProbe:22Probe* lifecycle:12Lifecycle* terminationMessagePath:13s
  terminationMessagePolicy:20s imagePullPolicy:14s securityContext:15SecurityContext* stdin:16b stdinOnce:17b tty:18b
ContainerPort name:1s hostPort:2i containerPort:3i protocol:4s hostIP:5s
EnvFromSource prefix:1s configMapRef:2ConfigMapEnvSource* secretRef:3SecretEnvSource*
ConfigMapEnvSource ~:1LocalObjectReference optional:2b*
SecretEnvSource ~:1LocalObjectReference optional:2b*
EnvVar name:1s value:2s valueFrom:3EnvVarSource*
EnvVarSource fieldRef:1ObjectFieldSelector* resourceFieldRef:2ResourceFieldSelector* configMapKeyRef:3ConfigMapKeySelector*
  secretKeyRef:4SecretKeySelector* fileKeyRef:5FileKeySelector*
ConfigMapKeySelector! ~:1LocalObjectReference key:2s optional:3b*
SecretKeySelector! ~:1LocalObjectReference key:2s optional:3b*
FileKeySelector! volumeName:1s path:2s key:3s optional:4b*
ResourceRequirements limits:1{q} requests:2{q} claims:3[ResourceClaim]@name
ResourceClaim name:1s request:2s
ContainerResizePolicy resourceName:1s restartPolicy:2s
VolumeMount name:1s readOnly:2b recursiveReadOnly:7s* mountPath:3s subPath:4s mountPropagation:5s* subPathExpr:6s
VolumeDevice name:1s devicePath:2s
Probe ~:1ProbeHandler initialDelaySeconds:2i timeoutSeconds:3i periodSeconds:4i successThreshold:5i failureThreshold:6i
  terminationGracePeriodSeconds:7i*
ProbeHandler exec:1ExecAction* httpGet:2HTTPGetAction* tcpSocket:3TCPSocketAction* grpc:4GRPCAction*
ExecAction command:1[s]
HTTPGetAction path:1s port:2x host:3s scheme:4s httpHeaders:5[HTTPHeader]
HTTPHeader name:1s value:2s
TCPSocketAction port:1x host:2s
GRPCAction port:1i service:2s*
Lifecycle postStart:1LifecycleHandler* preStop:2LifecycleHandler* stopSignal:3s*
LifecycleHandler exec:1ExecAction* httpGet:2HTTPGetAction* tcpSocket:3TCPSocketAction* sleep:4SleepAction*
SleepAction seconds:1i
SecurityContext capabilities:1Capabilities* privileged:2b* seLinuxOptions:3SELinuxOptions*
  windowsOptions:10WindowsSecurityContextOptions* runAsUser:4i* runAsGroup:8i* runAsNonRoot:5b* readOnlyRootFilesystem:6b*
  allowPrivilegeEscalation:7b* procMount:9s* seccompProfile:11SeccompProfile* appArmorProfile:12AppArmorProfile*
Capabilities add:1[s] drop:2[s]
SELinuxOptions user:1s role:2s type:3s level:4s
WindowsSecurityContextOptions gmsaCredentialSpecName:1s* gmsaCredentialSpec:2s* runAsUserName:3s* hostProcess:4b*
SeccompProfile type:1s localhostProfile:2s*
AppArmorProfile type:1s localhostProfile:2s*
EphemeralContainer ~:1EphemeralContainerCommon targetContainerName:2s
EphemeralContainerCommon name:1s image:2s command:3[s] args:4[s] workingDir:5s ports:6[ContainerPort]@containerPort,protocol
  envFrom:19[EnvFromSource] env:7[EnvVar]@name resources:8ResourceRequirements resizePolicy:23[ContainerResizePolicy]
  restartPolicy:24s* restartPolicyRules:25[a] volumeMounts:9[VolumeMount]@mountPath volumeDevices:21[VolumeDevice]@devicePath
  livenessProbe:10Probe* readinessProbe:11Probe* startupProbe:22Probe* lifecycle:12Lifecycle* terminationMessagePath:13s
  terminationMessagePolicy:20s imagePullPolicy:14s securityContext:15SecurityContext* stdin:16b stdinOnce:17b tty:18b
PodSecurityContext seLinuxOptions:1SELinuxOptions* windowsOptions:8WindowsSecurityContextOptions* runAsUser:2i* runAsGroup:6i*
  runAsNonRoot:3b* supplementalGroups:4[i] supplementalGroupsPolicy:12s* fsGroup:5i* sysctls:7[Sysctl] fsGroupChangePolicy:9s*
  seccompProfile:10SeccompProfile* appArmorProfile:11AppArmorProfile* seLinuxChangePolicy:13s*
Sysctl name:1s value:2s
Affinity nodeAffinity:1NodeAffinity* podAffinity:2PodAffinity* podAntiAffinity:3PodAntiAffinity*
NodeAffinity requiredDuringSchedulingIgnoredDuringExecution:1NodeSelector*
  preferredDuringSchedulingIgnoredDuringExecution:2[PreferredSchedulingTerm]
NodeSelector! nodeSelectorTerms:1[NodeSelectorTerm]
NodeSelectorTerm! matchExpressions:1[NodeSelectorRequirement] matchFields:2[NodeSelectorRequirement]
NodeSelectorRequirement key:1s operator:2s values:3[s]
PreferredSchedulingTerm weight:1i preference:2NodeSelectorTerm
PodAffinity requiredDuringSchedulingIgnoredDuringExecution:1[PodAffinityTerm]
  preferredDuringSchedulingIgnoredDuringExecution:2[WeightedPodAffinityTerm]
PodAffinityTerm labelSelector:1LabelSelector* namespaces:2[s] topologyKey:3s namespaceSelector:4LabelSelector*
  matchLabelKeys:5[s] mismatchLabelKeys:6[s]
WeightedPodAffinityTerm weight:1i podAffinityTerm:2PodAffinityTerm
PodAntiAffinity requiredDuringSchedulingIgnoredDuringExecution:1[PodAffinityTerm]
  preferredDuringSchedulingIgnoredDuringExecution:2[WeightedPodAffinityTerm]
Toleration key:1s operator:2s value:3s effect:4s tolerationSeconds:5i*
HostAlias ip:1s hostnames:2[s]
PodDNSConfig nameservers:1[s] searches:2[s] options:3[PodDNSConfigOption]
PodDNSConfigOption name:1s value:2s*
PodReadinessGate conditionType:1s
TopologySpreadConstraint maxSkew:1i topologyKey:2s whenUnsatisfiable:3s labelSelector:4LabelSelector* minDomains:5i*
  nodeAffinityPolicy:6s* nodeTaintsPolicy:7s* matchLabelKeys:8[s]
PodOS name:1s
PodSchedulingGate name:1s
PodStatus observedGeneration:17i phase:1s conditions:2[PodCondition]@type message:3s reason:4s nominatedNodeName:11s hostIP:5s
  hostIPs:16[HostIP]@ip! podIP:6s podIPs:12[PodIP]@ip startTime:7t* initContainerStatuses:10[ContainerStatus]
  containerStatuses:8[ContainerStatus] qosClass:9s ephemeralContainerStatuses:13[ContainerStatus] resize:14s
  resourceClaimStatuses:15[a]@name extendedResourceClaimStatus:18a* allocatedResources:19{q} resources:20ResourceRequirements*
  nodeAllocatableResourceClaimStatuses:21[a]
PodCondition type:1s observedGeneration:7i status:2s lastProbeTime:3t lastTransitionTime:4t reason:5s message:6s
HostIP ip:1s
PodIP ip:1s
ContainerStatus name:1s state:2ContainerState lastState:3ContainerState ready:4b restartCount:5i image:6s imageID:7s
  containerID:8s started:9b* allocatedResources:10{q} resources:11ResourceRequirements*
  volumeMounts:12[VolumeMountStatus]@mountPath user:13ContainerUser* allocatedResourcesStatus:14[a]@name stopSignal:15s*
ContainerState waiting:1ContainerStateWaiting* running:2ContainerStateRunning* terminated:3ContainerStateTerminated*
ContainerStateWaiting reason:1s message:2s
ContainerStateRunning startedAt:1t
ContainerStateTerminated exitCode:1i signal:2i reason:3s message:4s startedAt:5t finishedAt:6t containerID:7s
VolumeMountStatus name:1s mountPath:2s readOnly:3b recursiveReadOnly:4s* volumeStatus:5VolumeStatus*
VolumeStatus image:1ImageVolumeStatus*
ImageVolumeStatus imageRef:1s
ContainerUser linux:1LinuxContainerUser*
LinuxContainerUser uid:1i gid:2i supplementalGroups:3[i]
PodTemplate metadata:1ObjectMeta template:2PodTemplateSpec
PodTemplateSpec metadata:1ObjectMeta spec:2PodSpec
`;
