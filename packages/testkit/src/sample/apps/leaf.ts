// The last service of the chain: answers with its name and which of its pods it is.
import { createServer } from "node:http";
import { hostname } from "node:os";

const { PORT = "3010", POD_IP, POD_NAME = hostname() } = process.env;
let answered = 0;

const server = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  if (request.url === "/healthz") return void response.end('"ok"');
  response.end(JSON.stringify({ service: "leaf", pod: POD_NAME, answered: ++answered, path: request.url }));
});
server.listen(Number(PORT), POD_IP, () => console.log(`leaf listens on port ${PORT}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)).closeIdleConnections());
