import { Agent, request } from "node:http";

// Runs in a pod: asks a Service at a steady rate, whatever becomes of the answers, until its input ends; a line for each request when that
// is over. Flagged and unflagged, on kept-alive and on new connections, with GET and POST, in turn.

const { host, port, rate, limitMs, users } = JSON.parse(process.argv[2]!) as {
  host: string;
  port: number;
  /** Whom flagged requests say they are for, in turn. */
  users: string[];
  /** Requests a second. */
  rate: number;
  /** What has no answer by then has failed. */
  limitMs: number;
};

const kept = new Agent({ keepAlive: true, maxSockets: 64 });
let sent = 0;
let open = 0;
let ending = false;

function ask(number: number): void {
  const user = number % 2 === 1 ? users[(number >> 2) % users.length] : undefined;
  const fresh = number % 4 >= 2;
  const method = number % 5 === 4 ? "POST" : "GET";
  const at = Date.now();
  let over = false;
  const done = (outcome: string): void => {
    if (over) return;
    over = true;
    open--;
    process.stdout.write(`${JSON.stringify({ at, ms: Date.now() - at, user, fresh, method, outcome })}\n`);
    if (ending && open === 0) process.exit(0);
  };
  open++;
  const asked = request({
    ...{ host, port, method, path: `/${number}`, timeout: limitMs },
    agent: fresh ? new Agent({ keepAlive: false }) : kept,
    headers: { ...(user !== undefined && { "x-user": user }), ...(method === "POST" && { "content-length": 5 }) },
  });
  asked.on("response", (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("end", () => done(response.statusCode === 200 ? text : `failed: ${response.statusCode}`));
    response.on("error", (error: NodeJS.ErrnoException) => done(`failed: ${error.code} in the answer`));
  });
  asked.on("timeout", () => asked.destroy(Object.assign(new Error("late"), { code: "TIMEOUT" })));
  asked.on("error", (error: NodeJS.ErrnoException) => done(`failed: ${error.code}`));
  asked.end(method === "POST" ? "hello" : undefined);
}

const began = performance.now();
const timer = setInterval(() => {
  while (sent < ((performance.now() - began) * rate) / 1000) ask(sent++);
}, 5);
process.stdin.resume().on("end", () => {
  clearInterval(timer);
  ending = true;
  if (open === 0) process.exit(0);
});
