/**
 * What runs in the pod: a server whose connections begin with one line that says what they are for.
 *
 * | line | what it does |
 * |---|---|
 * | `echo` | gives back what comes |
 * | `down N` | sends N bytes of the pattern, then FIN |
 * | `up N` | reads N bytes, answers with their SHA-256 and FIN |
 * | `late MS TEXT` | answers TEXT after MS, whether or not the client has ended, then FIN |
 * | `eof MS TEXT` | answers TEXT so long after the client has ended, then FIN |
 * | `watch` | reads, and remembers how many bytes came and what ended them |
 * | `watched` | answers with that, for the last one that is over: `BYTES end` or `BYTES ECONNRESET` |
 * | `fin` | sends `bye` and FIN at once, and remembers what still comes |
 * | `remembered` | answers with that |
 * | `rst` | sends `before`, then a reset 100 ms later |
 * | `flood` | sends for ever |
 * | `deaf` | reads nothing more |
 * | `count` | answers how many other connections are open |
 *
 * The pattern is 64 KiB of bytes that count up, over and over.
 */
const PROGRAM = `
const net = require("node:net"), crypto = require("node:crypto");
const block = Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 7 + (i >> 8)) & 255));
let open = 0, remembered = "", watched = "";
const down = (s, n) => {
  const more = () => {
    while (n > 0 && !s.destroyed) {
      const part = n < block.length ? block.subarray(0, n) : block;
      n -= part.length;
      if (!s.write(part)) return s.once("drain", more);
    }
    if (!s.destroyed) s.end();
  };
  more();
};
const up = (s, n, first) => {
  const hash = crypto.createHash("sha256");
  const take = (c) => { hash.update(c); n -= c.length; if (n <= 0) { s.off("data", take); s.end(hash.digest("hex")); } };
  if (n <= 0) return s.end(hash.digest("hex"));
  s.on("data", take);
  if (first.length) take(first);
};
const commands = {
  echo: (s, _, rest) => { if (rest.length) s.write(rest); s.on("data", (c) => { if (!s.write(c)) { s.pause(); s.once("drain", () => s.resume()); } }); s.on("end", () => s.end()); },
  down: (s, [n]) => { s.resume(); down(s, Number(n)); },
  up: (s, [n], rest) => up(s, Number(n), rest),
  late: (s, [ms, ...text]) => { s.resume(); setTimeout(() => s.destroyed || s.end(text.join(" ")), Number(ms)); },
  eof: (s, [ms, ...text]) => { s.resume(); s.on("end", () => setTimeout(() => s.destroyed || s.end(text.join(" ")), Number(ms))); },
  watch: (s, _, rest) => {
    let bytes = rest.length;
    s.on("data", (c) => (bytes += c.length)).on("error", (e) => (watched = bytes + " " + e.code));
    s.on("end", () => { watched = bytes + " end"; s.end(); });
    s.write("ready");
  },
  watched: (s) => s.end(watched),
  fin: (s, _, rest) => { remembered = rest.toString(); s.on("data", (c) => { remembered += c; }); s.end("bye"); },
  remembered: (s) => s.end(remembered),
  rst: (s) => { s.write("before"); setTimeout(() => s.resetAndDestroy(), 100); },
  flood: (s) => { s.resume(); down(s, Infinity); },
  deaf: (s) => s.pause(),
  count: (s) => { s.resume(); s.end(String(open - 1)); },
};
net.createServer({ allowHalfOpen: true, noDelay: true }, (s) => {
  open++;
  s.on("close", () => open--).on("error", () => {});
  let line = Buffer.alloc(0);
  const first = (c) => {
    line = Buffer.concat([line, c]);
    const at = line.indexOf(10);
    if (at < 0) return;
    s.off("data", first);
    const [name, ...words] = line.subarray(0, at).toString().split(" ");
    (commands[name] ?? (() => s.destroy()))(s, words, line.subarray(at + 1));
  };
  s.on("data", first);
  s.on("end", () => { if (s.listenerCount("data") === 1 && line.indexOf(10) < 0) s.end(); });
}).listen(7000);
process.on("SIGTERM", () => process.exit(0));
`;

/** The same pattern, for the client's side. */
export const BLOCK = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7 + (i >> 8)) & 255));

export const PROGRAM_PORT = 7000;

/** A pod that runs {@link PROGRAM}; on a real cluster `image` must have Node 20 or later as `node`. */
export const programPod = (name: string, image: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: "app",
        image,
        imagePullPolicy: "IfNotPresent",
        command: ["node", "-e", PROGRAM],
        readinessProbe: { tcpSocket: { port: PROGRAM_PORT }, periodSeconds: 1 },
      },
    ],
  },
});
