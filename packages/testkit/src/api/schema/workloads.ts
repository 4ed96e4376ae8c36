/** Apps/v1, batch/v1 and autoscaling/v1, in the notation of `notation.ts`. */
export const WORKLOADS = `
Deployment metadata:1ObjectMeta spec:2DeploymentSpec status:3DeploymentStatus
DeploymentSpec replicas:1i* selector:2LabelSelector* template:3PodTemplateSpec strategy:4DeploymentStrategy minReadySeconds:5i
  revisionHistoryLimit:6i* paused:7b progressDeadlineSeconds:9i*
DeploymentStrategy type:1s rollingUpdate:2RollingUpdateDeployment*
RollingUpdateDeployment maxUnavailable:1x* maxSurge:2x*
DeploymentStatus observedGeneration:1i replicas:2i updatedReplicas:3i readyReplicas:7i availableReplicas:4i
  unavailableReplicas:5i terminatingReplicas:9i* conditions:6[DeploymentCondition]@type collisionCount:8i*
DeploymentCondition type:1s status:2s lastUpdateTime:6t lastTransitionTime:7t reason:4s message:5s
ReplicaSet metadata:1ObjectMeta spec:2ReplicaSetSpec status:3ReplicaSetStatus
ReplicaSetSpec replicas:1i* minReadySeconds:4i selector:2LabelSelector* template:3PodTemplateSpec
ReplicaSetStatus replicas:1i fullyLabeledReplicas:2i readyReplicas:4i availableReplicas:5i terminatingReplicas:7i*
  observedGeneration:3i conditions:6[ReplicaSetCondition]@type
ReplicaSetCondition type:1s status:2s lastTransitionTime:3t reason:4s message:5s
StatefulSet metadata:1ObjectMeta spec:2StatefulSetSpec status:3StatefulSetStatus
StatefulSetSpec replicas:1i* selector:2LabelSelector* template:3PodTemplateSpec volumeClaimTemplates:4[PersistentVolumeClaim]
  serviceName:5s podManagementPolicy:6s updateStrategy:7StatefulSetUpdateStrategy revisionHistoryLimit:8i* minReadySeconds:9i
  persistentVolumeClaimRetentionPolicy:10StatefulSetPersistentVolumeClaimRetentionPolicy* ordinals:11StatefulSetOrdinals*
StatefulSetUpdateStrategy type:1s rollingUpdate:2RollingUpdateStatefulSetStrategy*
RollingUpdateStatefulSetStrategy partition:1i* maxUnavailable:2x*
StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted:1s whenScaled:2s
StatefulSetOrdinals start:1i
StatefulSetStatus observedGeneration:1i replicas:2i readyReplicas:3i currentReplicas:4i updatedReplicas:5i currentRevision:6s
  updateRevision:7s collisionCount:9i* conditions:10[StatefulSetCondition]@type availableReplicas:11i
StatefulSetCondition type:1s status:2s lastTransitionTime:3t reason:4s message:5s
DaemonSet metadata:1ObjectMeta spec:2DaemonSetSpec status:3DaemonSetStatus
DaemonSetSpec selector:1LabelSelector* template:2PodTemplateSpec updateStrategy:3DaemonSetUpdateStrategy minReadySeconds:4i
  revisionHistoryLimit:6i*
DaemonSetUpdateStrategy type:1s rollingUpdate:2RollingUpdateDaemonSet*
RollingUpdateDaemonSet maxUnavailable:1x* maxSurge:2x*
DaemonSetStatus currentNumberScheduled:1i numberMisscheduled:2i desiredNumberScheduled:3i numberReady:4i observedGeneration:5i
  updatedNumberScheduled:6i numberAvailable:7i numberUnavailable:8i collisionCount:9i* conditions:10[DaemonSetCondition]@type
DaemonSetCondition type:1s status:2s lastTransitionTime:3t reason:4s message:5s
ControllerRevision metadata:1ObjectMeta data:2r revision:3i
Job metadata:1ObjectMeta spec:2JobSpec status:3JobStatus
JobSpec parallelism:1i* completions:2i* activeDeadlineSeconds:3i* podFailurePolicy:11PodFailurePolicy*
  successPolicy:16SuccessPolicy* backoffLimit:7i* backoffLimitPerIndex:12i* maxFailedIndexes:13i* selector:4LabelSelector*
  manualSelector:5b* template:6PodTemplateSpec ttlSecondsAfterFinished:8i* completionMode:9s* suspend:10b*
  podReplacementPolicy:14s* managedBy:15s*
PodFailurePolicy rules:1[PodFailurePolicyRule]
PodFailurePolicyRule action:1s onExitCodes:2PodFailurePolicyOnExitCodesRequirement*
  onPodConditions:3[PodFailurePolicyOnPodConditionsPattern]
PodFailurePolicyOnExitCodesRequirement containerName:1s* operator:2s values:3[i]=
PodFailurePolicyOnPodConditionsPattern type:1s status:2s
SuccessPolicy rules:1[SuccessPolicyRule]
SuccessPolicyRule succeededIndexes:1s* succeededCount:2i*
JobStatus conditions:1[JobCondition]@type! startTime:2t* completionTime:3t* active:4i succeeded:5i failed:6i terminating:11i*
  completedIndexes:7s failedIndexes:10s* uncountedTerminatedPods:8UncountedTerminatedPods* ready:9i*
JobCondition type:1s status:2s lastProbeTime:3t lastTransitionTime:4t reason:5s message:6s
UncountedTerminatedPods succeeded:1[s]= failed:2[s]=
CronJob metadata:1ObjectMeta spec:2CronJobSpec status:3CronJobStatus
CronJobSpec schedule:1s timeZone:8s* startingDeadlineSeconds:2i* concurrencyPolicy:3s suspend:4b* jobTemplate:5JobTemplateSpec
  successfulJobsHistoryLimit:6i* failedJobsHistoryLimit:7i*
JobTemplateSpec metadata:1ObjectMeta spec:2JobSpec
CronJobStatus active:1[ObjectReference] lastScheduleTime:4t* lastSuccessfulTime:5t*
Scale metadata:1ObjectMeta spec:2ScaleSpec status:3ScaleStatus
ScaleSpec replicas:1i
ScaleStatus replicas:1i selector:2s
`;
