// What users open: asks core, and shows what core said. Tracing and flagging headers travel on.
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { hostname } from "node:os";

const { PORT = "3000", POD_IP, POD_NAME = hostname(), CORE_URL = "http://core:3020" } = process.env;

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name.startsWith("x-") || name === "baggage" || name === "traceparent");
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

/** Where pods have no cluster names, the service's variables say where it is. */
function core(byVariable: boolean): URL {
  const url = new URL(CORE_URL);
  const { CORE_SERVICE_HOST, CORE_SERVICE_PORT } = process.env;
  return byVariable && CORE_SERVICE_HOST ? new URL(`http://${CORE_SERVICE_HOST}:${CORE_SERVICE_PORT}/`) : url;
}

function askCore(path: string, headers: Record<string, string>, byVariable = false): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve) => {
    const asked = request(new URL(path, core(byVariable)), { headers, timeout: 5000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 502, body: parse(text) }));
    });
    asked.on("timeout", () => asked.destroy(new Error("core did not answer within 5 s")));
    asked.on("error", (error: NodeJS.ErrnoException) => {
      if (!byVariable && (error.code === "ENOTFOUND" || error.code === "EAI_AGAIN")) resolve(askCore(path, headers, true));
      else resolve({ status: 502, body: { error: error.message, code: error.code } });
    });
    asked.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const server = createServer(async (incoming, response) => {
  response.setHeader("content-type", "application/json");
  if (incoming.url === "/healthz") return void response.end('"ok"');
  const { status, body } = await askCore(incoming.url ?? "/", passedOn(incoming.headers));
  response.statusCode = status;
  response.end(`${JSON.stringify({ service: "frontend", pod: POD_NAME, core: body }, null, 2)}\n`);
});
server.listen(Number(PORT), POD_IP, () => console.log(`frontend listens on port ${PORT}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)).closeIdleConnections());
