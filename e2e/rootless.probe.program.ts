/** What a program is asked to look at. Names and addresses are the cluster's. */
export interface Asked {
  /** Who answers DNS questions, where the resolv.conf doesn't say it. */
  dns?: string;
  /** For the ordinary resolver. */
  names: readonly string[];
  /** For the DNS alone: `SRV _http._tcp.web.shop.svc.cluster.local`. */
  questions: readonly string[];
  urls: readonly string[];
  /** Variables whose value is the host of a URL, with its port: `WEB_SERVICE_HOST:WEB_SERVICE_PORT`. */
  variables: readonly string[];
  datagrams: readonly string[];
  /** Folders and files, with all that is in them. */
  volumes: readonly string[];
  files: readonly string[];
  /** Prefixes of variables. */
  env: readonly string[];
  /** A file that is written, and its text. */
  write: readonly [path: string, text: string];
}

/**
 * Run by `node -e`, with what is asked as its argument: prints all that it sees as JSON, the same way in a pod and elsewhere. It knows
 * nothing of Shipside. What can't be the same twice (a date in a folder's name, a token's text, a pod's name) is put in words.
 */
export const PROBE = `
const dns = require("node:dns").promises, fs = require("node:fs"), os = require("node:os"), path = require("node:path");
const asked = JSON.parse(process.argv[1]);
const each = async (all, look) => Object.fromEntries(await Promise.all(all.map(async (one) => {
  try { return [one, await look(one)]; } catch (error) { return [one, error.cause?.code ?? error.code ?? String(error)]; }
})));
const resolver = new dns.Resolver({ timeout: 3000, tries: 2 });
if (asked.dns) resolver.setServers([asked.dns]);
const inOrder = (all) => all.map((one) => (typeof one === "string" ? one : one.name + ":" + one.port)).sort();
const text = async (url) => (await (await fetch(url, { signal: AbortSignal.timeout(20000) })).text()).replace(/-[a-z0-9]+-[a-z0-9]{5}$/, "");
const datagram = (to) => new Promise((resolve, reject) => {
  const [host, port] = to.split(":");
  const socket = require("node:dgram").createSocket("udp4");
  // A datagram may be lost.
  const timers = [setInterval(() => socket.send("ping", Number(port), host), 1000), setTimeout(() => done(reject, new Error("no answer")), 20000)];
  const done = (settle, what) => { timers.forEach(clearTimeout); socket.close(); settle(what); };
  socket.once("message", (message) => done(resolve, String(message))).once("error", (error) => done(reject, error));
  socket.send("ping", Number(port), host);
});
const listens = (port) => new Promise((resolve) => {
  const server = require("node:net").createServer();
  server.once("error", (error) => resolve(error.code)).listen(port, () => server.close(() => resolve("listens")));
});
const dated = (name) => name.replace(/\\.\\.\\d{4}_\\d\\d_\\d\\d_\\d\\d_\\d\\d_\\d\\d\\.\\w+/g, "..DATE");
const walk = (at, found) => {
  const stat = fs.lstatSync(at), mode = (stat.mode & 0o7777).toString(8), name = dated(at);
  if (stat.isSymbolicLink()) found[name] = "link to " + dated(fs.readlinkSync(at));
  else if (stat.isDirectory()) {
    found[name] = "folder " + mode;
    for (const entry of fs.readdirSync(at)) walk(path.join(at, entry), found);
  } else found[name] = "file " + mode + " " + (path.basename(at) === "token" ? "a token" : fs.readFileSync(at, "utf8").slice(0, 200));
  return found;
};
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const whoAmI = (token) => new Promise((resolve, reject) => {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const headers = { authorization: "Bearer " + token, "content-type": "application/json" };
  const ca = fs.readFileSync(ACCOUNT + "/ca.crt");
  const request = require("node:https").request({ host, port, method: "POST", path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", headers, ca }, (response) => {
    let body = "";
    response.on("data", (chunk) => (body += chunk)).on("end", () => resolve(JSON.parse(body)));
  });
  request.on("error", reject).setTimeout(20000, () => request.destroy(new Error("no answer")));
  request.end(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }));
});
(async () => {
  const token = fs.readFileSync(ACCOUNT + "/token", "utf8");
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const identity = (await whoAmI(token)).status?.userInfo;
  const resolvConf = fs.readFileSync("/etc/resolv.conf", "utf8");
  const line = (key) => resolvConf.match(new RegExp("^" + key + " (.*)$", "m"))?.[1].split(" ") ?? [];
  fs.writeFileSync(...asked.write);
  console.log(JSON.stringify({
    names: await each(asked.names, async (name) => (await dns.lookup(name, { all: true, family: 4 })).map(({ address }) => address).filter((one, at, all) => all.indexOf(one) === at).sort()),
    questions: await each(asked.questions, async (question) => inOrder(await resolver.resolve(question.split(" ")[1], question.split(" ")[0]))),
    urls: await each(asked.urls, text),
    variables: await each(asked.variables, (pair) => text("http://" + pair.split(":").map((name) => process.env[name]).join(":"))),
    datagrams: await each(asked.datagrams, datagram),
    lowPort: await listens(81),
    files: Object.assign({}, ...[...asked.files, ...asked.volumes].map((folder) => walk(folder, {}))),
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => asked.env.some((prefix) => name.startsWith(prefix))).sort()),
    token: { sub: claims.sub, aud: claims.aud, iss: claims.iss, namespace: claims["kubernetes.io"].namespace, of: Object.keys(claims["kubernetes.io"]).sort() },
    identity: { username: identity.username, groups: identity.groups.sort(), extra: Object.keys(identity.extra ?? {}).sort() },
    searches: line("search"), options: line("options"), nameservers: line("nameserver"),
    hostname: os.hostname(),
    user: process.getuid() + ":" + process.getgid(),
  }));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
`;
