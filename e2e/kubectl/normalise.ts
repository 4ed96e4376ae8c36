/** Takes out what differs from one run, or from one cluster, to the next. */
export function normalise(output: string, namespace: string): string {
  const text = output
    .replaceAll(namespace, "{ns}")
    .replace(/\beyJ[\w-]+\.([\w-]+)\.[\w-]+/g, (_, claims: string) => `{token of ${claimNames(claims)}}`)
    // kubectl's own, where the server was quicker than its client.
    .replace(/^E\d{4} .* Unknown stream id \d+, discarding message$/gm, "")
    // A kubelet that is busy, and tries again.
    .replace(/^.* FailedMount .* failed to sync configmap cache: .*$\n?/gm, "")
    // The image's own `tar` may be any; of a line of kubectl's log, when it was written.
    .replace(/^tar: .*$\n?/gm, "")
    .replace(/^([WE])\d{4} \S+ +\d+ /gm, "$1 ")
    // The programs and the node, as they call themselves.
    .replace(/^(Server Version: ).*v1\.(\d+)\..*$/gm, "$1{1.$2}")
    .replace(/^( *Container ID: ).*$/gm, "$1{container}")
    .replace(/^( *Image ID: ).*$/gm, "$1{image}")
    .replace(/^( *nodeName: ).*$/gm, "$1{node}")
    .replace(/^( *"?nodePort"?: )\d+/gm, "$1{node port}")
    .replace(/^((?: *|.*- )containerID: ).*$/gm, "$1{container}")
    .replace(/^( *imageID: ).*$/gm, "$1{image}")
    // The real one may know the same image by another tag.
    .replace(/^( *image: docker.io\/library\/node:)\d+$/gm, "$1{tag}")
    .replace(/(failed to start exec )"[0-9a-f]{64}"/g, "$1{exec}")
    .replace(/^(Node: +)[^\s/]+\//gm, "$1{node}/")
    .replace(/(Successfully assigned \S+ to )\S+/g, "$1{node}")
    .replace(/( +)\S+( +<none> +<none>)$/gm, (all, before: string, after: string) =>
      all.includes("*") ? all : `${before}{node}${after}`,
    )
    // Ports of this machine, and those that a cluster draws.
    .replace(/^(Forwarding from \S+:|Handling connection for )\d+/gm, "$1{port}")
    .replace(/\b3[0-2]\d{3}\/(?=TCP|UDP)/g, "{node port}/")
    .replace(/\/tmp\/(LIVE|MERGED)-\d+/g, "{$1}")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}/g, "{time}")
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "{uid}")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "{time}")
    .replace(/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, "{time}")
    .replace(/("?resourceVersion"?: )"\d+"/g, "$1{version}")
    .replace(/\b(web|api|job|tick)-[0-9a-f]{7,10}-[a-z0-9]{5}\b/g, "$1-{hash}-{id}")
    .replace(/\b(web|api)-[0-9a-f]{7,10}\b/g, "$1-{hash}")
    .replace(/\b(web|api|once|from-cron|kube-api-access)-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g, "$1-{id}")
    .replace(/pod-template-hash(=|: )[0-9a-f]+/g, "pod-template-hash$1{hash}")
    .replace(/\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b/g, "{ip}")
    .replace(/ \(x\d+ over \w+\)/g, "")
    .replace(/(?<=\s)(\d+d)?(\d+h)?(\d+m)?(\d+s)(?=\s|$)/g, "{age}")
    .replace(/(?<=\s)(\d+d)?(\d+h)?(\d+m)(?=\s|$)/g, "{age}")
    .replace(/[ \t]+/g, " ")
    .replace(/ $/gm, "")
    .trim();
  // What is said of what is under way is a matter of time.
  return text.replace(/^(Waiting for|Handling connection) .*\n/gm, "");
}

/** The claims that a token has, whatever they say. */
function claimNames(part: string): string {
  const claims = JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  return Object.keys(claims).sort().join(", ");
}
