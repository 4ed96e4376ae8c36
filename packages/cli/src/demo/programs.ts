/**
 * Run by `node -e`: asks a URL again and again, each time over a new connection, and prints who answered. It knows nothing of Shipside,
 * and finds the name as any program does. Ends when another pod than the first has answered `after` times, or at the limit.
 */
export const CALLER = `
const http = require("node:http");
const [url, after, limitMs] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
const began = performance.now();
const pods = [];
let calls = 0, failed = 0, seconds = 0, address = "";
const ask = () => new Promise((resolve, reject) => {
  http.get(url, { agent: false }, (response) => {
    address = response.socket.remoteAddress;
    let text = "";
    response.on("data", (chunk) => (text += chunk)).on("end", () => resolve(JSON.parse(text).pod)).on("error", reject);
  }).on("error", reject);
});
(async () => {
  for (;;) {
    calls++;
    const sent = performance.now();
    const pod = await ask().catch((error) => { failed++; return "error: " + error.message; });
    if (calls === 1) console.log(JSON.stringify({ pod, address, ms: Math.round(performance.now() - sent) }));
    if (!pods.includes(pod)) pods.push(pod);
    if (pod !== pods[0]) seconds++;
    if (seconds >= after || performance.now() - began > limitMs) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.log(JSON.stringify({ calls, failed, pods }));
})();
`;
