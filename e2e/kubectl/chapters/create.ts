import { type Step, step } from "../step.ts";

/** Each kind that `create` has a form for, and how it is shown. */
export const CREATE: readonly Step[] = [
  step("a Service of type ClusterIP", "create service clusterip inner --tcp=80:8080", "service/inner created"),
  step("of type NodePort", "create service nodeport outer --tcp=81", "service/outer created"),
  step(
    "of type LoadBalancer, without having it",
    "create service loadbalancer balanced --tcp=80 --dry-run=server -o 'jsonpath={.spec.allocateLoadBalancerNodePorts} {.spec.externalTrafficPolicy}'",
    "true Cluster",
  ),
  step("of type ExternalName", "create service externalname far --external-name=db.example.com", "service/far created"),
  step(
    "the services",
    "get services far,inner,outer".replaceAll(",", " "),
    /^far ExternalName <none> db\.example\.com <none> {age}\ninner ClusterIP {ip} <none> 80\/TCP {age}\nouter NodePort {ip} <none> 81:{node port}\/TCP {age}$/m,
  ),
  step("a service as YAML", "get service inner -o yaml", /^ sessionAffinity: None$/m),
  step("the NodePort one, described", "describe service outer", /^External Traffic Policy: Cluster$/m),
  step("an ingress", "create ingress front --rule=shop.example.com/cart*=web:80", "ingress.networking.k8s.io/front created"),
  step("the ingress", "get ingress front", "NAME CLASS HOSTS ADDRESS PORTS AGE\nfront <none> shop.example.com 80 {age}"),
  step("the ingress, described", "describe ingress front", /^ shop\.example\.com\n \/cart web:80/m),
  step("a service account", "create serviceaccount bot", "serviceaccount/bot created"),
  step("the service account", "describe serviceaccount bot", /^Name: bot\nNamespace: {ns}$/m),
  step(
    "a budget",
    "create poddisruptionbudget guard --selector=app=none --min-available=1",
    /^poddisruptionbudget.policy\/guard created$/,
    {
      since: 21,
    },
  ),
  step(
    "the budget",
    "get poddisruptionbudget guard",
    "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE\nguard 1 N/A 0 {age}",
    { since: 21 },
  ),
  step("a quota", "create quota small --hard=services=50,secrets=50", "resourcequota/small created"),
  step("what is used of it", "describe quota small", /^secrets 1 50\nservices 5 50$/m, { within: 20_000 }),
  step(
    "a secret of files",
    "create secret generic lettered --from-file=key=/etc/hostname --type=example.com/letter",
    "secret/lettered created",
  ),
  step(
    "secrets, sorted",
    "get secrets --sort-by=.metadata.name --no-headers",
    /^hidden Opaque 1 {age}\nlettered example\.com\/letter 1 {age}/m,
  ),
  step(
    "a secret for a registry",
    "create secret docker-registry pull --docker-server=r.example.com --docker-username=u --docker-password=p",
    "secret/pull created",
  ),
  step(
    "it, described",
    "describe secret pull",
    /^Type: kubernetes\.io\/dockerconfigjson\n\nData\n====\n\.dockerconfigjson: \d+ bytes$/m,
  ),
  step(
    "a secret whose type it doesn't fit",
    "create secret generic wrong --type=kubernetes.io/tls --from-literal=a=b",
    /data\[tls\.crt\]: Required value/,
    {
      exit: 1,
    },
  ),
  step("a configmap of a file", "create configmap of-file --from-file=name=/etc/hostname", "configmap/of-file created"),
  step("the configmap, described", "describe configmap of-file", /^Data\n====\nname:\n----$/m),
  step("a priority class", "create priorityclass {ns} --value=5", "priorityclass.scheduling.k8s.io/{ns} created", {
    unscoped: true,
  }),
  step("the priority class", "get priorityclass {ns} -o 'jsonpath={.value} {.preemptionPolicy}'", "5 PreemptLowerPriority", {
    unscoped: true,
  }),
  step("its end", "delete priorityclass {ns}", 'priorityclass.scheduling.k8s.io "{ns}" deleted', { unscoped: true }),
  step("a namespace as YAML", "get namespace {ns} -o yaml", /^ - kubernetes$/m, { unscoped: true }),
  step("the namespace, described", "describe namespace {ns}", /^Resource Quotas\n Name: small$/m, { unscoped: true }),
  step("more than one kind", "get service/inner configmap/of-file -o name", "service/inner\nconfigmap/of-file"),
  step(
    "labels in columns",
    "get service inner -L app --show-labels",
    /^inner ClusterIP {ip} <none> 80\/TCP {age} inner app=inner$/m,
  ),
  step(
    "by a template",
    "get service inner -o 'go-template={{.spec.type}} {{range .spec.ports}}{{.targetPort}}{{end}}'",
    "ClusterIP 8080",
  ),
  step("as JSON", "get service inner outer -o json", /^ "kind": "List"/m),
  step("on the client alone", "create configmap never --from-literal=a=b --dry-run=client -o 'jsonpath={.data.a}'", "b"),
  step("and so it isn't there", "get configmap never --ignore-not-found", ""),
];
