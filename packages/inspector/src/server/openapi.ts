const text = { type: "string" } as const;
const number = { type: "number" } as const;
const flag = { type: "boolean" } as const;
const optional = (schema: { type: string }) => ({ type: [schema.type, "null"] });
const list = (items: object) => ({ type: "array", items });
const object = (properties: Record<string, object>, required = Object.keys(properties)) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const counts = ["kept", "keptBytes", "evicted", "connections", "bytes", "droppedBytes", "drops", "unread"];
const budgets = ["maxExchanges", "maxBytes", "maxBodyBytes", "maxQueuedBytes", "maxMessages"];
const numbers = (names: readonly string[]) => object(Object.fromEntries(names.map((name) => [name, number])));
const headers = list({ type: "array", prefixItems: [text, text], minItems: 2, maxItems: 2 });
const message = object({ headers, body: ref("Body") });
const side = object({ id: number, status: optional(number), duration: optional(number) });

const schemas = {
  Error: object({
    error: { type: "object", properties: { code: text, message: text, hint: text }, required: ["code", "message"] },
  }),
  Stats: numbers(counts),
  Status: object({ stats: ref("Stats"), budgets: numbers(budgets) }),
  Summary: object({
    id: number,
    startedAt: { ...number, description: "ms since 1970" },
    method: text,
    path: text,
    host: text,
    status: optional(number),
    state: { enum: ["open", "done", "failed"] },
    duration: { ...optional(number), description: "ms" },
    requestBytes: number,
    responseBytes: number,
    contentType: text,
    pinned: flag,
    replayOf: optional(number),
    direction: { enum: ["incoming", "outgoing"] },
    service: text,
    caller: { ...text, description: "a name, or an address" },
    route: { ...text, description: "where it was sent, and by which rule" },
    grpcStatus: { ...text, description: "how a call of gRPC ended, as in `5 NOT_FOUND`" },
  }),
  List: object({ exchanges: list(ref("Summary")) }),
  Tunnel: object({
    direction: { enum: ["in", "out"], description: "from the cluster to here, or from here to the cluster" },
    namespace: text,
    service: text,
    port: number,
    protocol: text,
    state: text,
    address: text,
    error: text,
    pods: list(object({ name: text, ready: flag })),
    connections: numbers(["open", "total", "failed"]),
    bytes: numbers(["sent", "received"]),
  }),
  Session: object({
    id: text,
    name: text,
    kind: text,
    of: text,
    context: text,
    namespace: text,
    openedAt: text,
    health: { enum: ["well", "unwell", "unknown"] },
    notes: list(text),
    tunnels: list(ref("Tunnel")),
  }),
  Sessions: object({ at: { ...number, description: "ms since 1970" }, sessions: list(ref("Session")) }),
  GrpcMessage: object(
    {
      bytes: number,
      compressed: flag,
      trailers: text,
      hex: text,
      text: { ...text, description: "of messages that are JSON" },
      whole: { ...flag, description: "whether `hex` is all of it" },
    },
    ["bytes", "compressed", "hex", "whole"],
  ),
  ReplayEdit: object(
    {
      method: text,
      path: text,
      headers,
      body: text,
      messages: {
        ...list(object({ hex: text, base64: text, text }, [])),
        description: "instead of `body`, for a call of gRPC: each message by one of the three",
      },
    },
    [],
  ),
  Body: object(
    {
      kind: { enum: ["empty", "json", "text", "form", "image", "grpc", "binary"] },
      bytes: number,
      contentType: text,
      note: { ...text, description: "why it isn't whole, or not decoded" },
      text,
      form: list(object({ name: text, value: text, filename: text, contentType: text, bytes: number }, ["name", "value"])),
      frames: list(ref("GrpcMessage")),
    },
    ["kind", "bytes", "contentType", "note", "text"],
  ),
  Exchange: object({
    summary: ref("Summary"),
    url: text,
    httpVersion: text,
    statusText: text,
    note: text,
    connection: object(
      {
        direction: { enum: ["incoming", "outgoing"] },
        peer: text,
        caller: text,
        callerNote: { ...text, description: "why there is no name for who called" },
        namespace: text,
        service: text,
        port: number,
        localPort: number,
        route: text,
        session: text,
      },
      ["direction"],
    ),
    timings: object({ sent: number, answered: number, done: number }, []),
    masked: { ...flag, description: "secret headers are masked; ask with reveal=true for their values" },
    request: message,
    response: message,
    trailers: headers,
    grpcStatus: { ...text, description: 'as in `5 NOT_FOUND: no such cart`; "" where it is no gRPC' },
    messages: list(
      object({
        at: number,
        direction: { enum: ["in", "out"] },
        kind: { enum: ["text", "binary", "close", "ping", "pong", "event"] },
        bytes: number,
        text,
      }),
    ),
    messageCount: number,
    replayTargets: list(object({ name: text, origin: text })),
  }),
  Curl: object({ command: text }),
  Diff: object({
    left: side,
    right: side,
    headers: list(ref("HeaderChange")),
    trailers: list(ref("HeaderChange")),
    lines: list(object({ kind: { enum: ["same", "left", "right"] }, text })),
    note: text,
    same: flag,
  }),
  HeaderChange: object({ name: text, left: text, right: text }, ["name"]),
  Har: { type: "object", required: ["log"] },
};

const parameter = (name: string, place: "query" | "path", description: string, schema: object = text) => ({
  name,
  in: place,
  required: place === "path",
  description,
  schema,
});
const filter = parameter("filter", "query", "terms that must all hold, as in `status:5xx path:/api`");
const reveal = parameter("reveal", "query", "`true` for secret headers as they are", { enum: ["true", "false"] });
const id = parameter("id", "path", "a request's number", { type: "integer", minimum: 1 });
const answers = (name: string | undefined, type = "application/json") => ({
  ...(name ? { 200: { description: name, content: { [type]: { schema: ref(name) } } } } : { 204: { description: "done" } }),
  default: { description: "An error, with its code and what to do", content: { "application/json": { schema: ref("Error") } } },
});
const takes = (schema: object) => ({ required: true, content: { "application/json": { schema } } });
const bytes = {
  200: { description: "The decoded body, as a picture or as a file to be saved", content: { "*/*": {} } },
  default: answers(undefined).default,
};

/** The API that {@link serveInspector} answers, for those who build something else on it. */
export const openApi = {
  openapi: "3.1.0",
  info: {
    title: "Shipside inspector",
    version: "1",
    description: "Captured traffic, on the loopback addresses of the machine that captured it.",
  },
  security: [{ bearer: [] }, { cookie: [] }],
  paths: {
    "/api/login": {
      post: {
        summary: "Trades the token for a cookie",
        security: [],
        requestBody: takes(object({ token: text })),
        responses: answers(undefined),
      },
    },
    "/api/openapi.json": {
      get: { summary: "This document", responses: { 200: { description: "OpenAPI 3.1", content: { "application/json": {} } } } },
    },
    "/api/status": { get: { summary: "What is kept, and what was dropped", responses: answers("Status") } },
    "/api/sessions": { get: { summary: "What is open, with every tunnel and its counts", responses: answers("Sessions") } },
    "/api/exchanges": {
      get: {
        summary: "Requests, newest first",
        parameters: [
          filter,
          parameter("limit", "query", "how many at most", { type: "integer" }),
          parameter("before", "query", "only those with a smaller number", { type: "integer" }),
        ],
        responses: answers("List"),
      },
      delete: { summary: "Forgets all but what is pinned", responses: answers(undefined) },
    },
    "/api/exchanges/{id}": { get: { summary: "One request", parameters: [id, reveal], responses: answers("Exchange") } },
    "/api/exchanges/{id}/pin": {
      put: {
        summary: "Keeps it, or no longer",
        parameters: [id],
        requestBody: takes(object({ pinned: flag })),
        responses: answers("Summary"),
      },
    },
    "/api/exchanges/{id}/curl": { get: { summary: "As a command", parameters: [id, reveal], responses: answers("Curl") } },
    "/api/exchanges/{id}/request/body": { get: { summary: "The request's body", parameters: [id], responses: bytes } },
    "/api/exchanges/{id}/response/body": { get: { summary: "The answer's body", parameters: [id], responses: bytes } },
    "/api/exchanges/{id}/replay": {
      post: {
        summary: "Sends it again; the answer is a request of its own",
        parameters: [id],
        requestBody: takes(object({ target: text, edit: ref("ReplayEdit") }, [])),
        responses: answers("Summary"),
      },
    },
    "/api/diff": {
      get: {
        summary: "Two answers side by side",
        parameters: [parameter("left", "query", "a request's number"), parameter("right", "query", "a request's number"), reveal],
        responses: answers("Diff"),
      },
    },
    "/api/har": {
      get: {
        summary: "As HTTP Archive 1.2",
        parameters: [filter, parameter("ids", "query", "numbers with commas, instead of a filter"), reveal],
        responses: answers("Har"),
      },
    },
    "/api/events": {
      get: {
        summary:
          "Server-sent events: `batch` with `changed`, `removed` and `stats`; `sessions` as of /api/sessions; `reload` where the client must list anew",
        parameters: [filter],
        responses: { 200: { description: "Without end", content: { "text/event-stream": {} } } },
      },
    },
  },
  components: {
    schemas,
    securitySchemes: {
      bearer: { type: "http", scheme: "bearer" },
      cookie: { type: "apiKey", in: "cookie", name: "shipside-inspector-{port}" },
    },
  },
} as const;
