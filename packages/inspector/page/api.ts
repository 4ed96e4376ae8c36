// What the API answers, in the form of its OpenAPI document. The page is built for browsers, and takes no code of the library's.
export interface Summary {
  id: number;
  startedAt: number;
  method: string;
  path: string;
  host: string;
  status: number | null;
  state: "open" | "done" | "failed";
  duration: number | null;
  requestBytes: number;
  responseBytes: number;
  contentType: string;
  pinned: boolean;
  replayOf: number | null;
  direction: "incoming" | "outgoing";
  service: string;
  caller: string;
  route: string;
  grpcStatus: string;
}

export interface BodyView {
  kind: "empty" | "json" | "text" | "form" | "image" | "grpc" | "binary";
  bytes: number;
  contentType: string;
  note: string;
  text: string;
  form?: { name: string; value: string; filename?: string; contentType?: string; bytes?: number }[];
  frames?: { bytes: number; compressed: boolean; trailers?: string; hex: string; text?: string; whole: boolean }[];
}

export type Headers = [name: string, value: string][];

export interface Detail {
  summary: Summary;
  url: string;
  httpVersion: string;
  statusText: string;
  note: string;
  connection: {
    direction: string;
    peer?: string;
    caller?: string;
    callerNote?: string;
    namespace?: string;
    service?: string;
    port?: number;
    localPort?: number;
    route?: string;
  };
  timings: { sent?: number; answered?: number; done?: number };
  masked: boolean;
  request: { headers: Headers; body: BodyView };
  response: { headers: Headers; body: BodyView };
  trailers: Headers;
  grpcStatus: string;
  messages: { at: number; direction: "in" | "out"; kind: string; bytes: number; text: string }[];
  messageCount: number;
  replayTargets: { name: string; origin: string }[];
}

export interface HeaderChange {
  name: string;
  left?: string;
  right?: string;
}

export interface Diff {
  left: { id: number; status: number | null; duration: number | null };
  right: { id: number; status: number | null; duration: number | null };
  headers: HeaderChange[];
  trailers: HeaderChange[];
  lines: { kind: "same" | "left" | "right"; text: string }[];
  note: string;
  same: boolean;
}

export interface Stats {
  kept: number;
  evicted: number;
  droppedBytes: number;
  drops: number;
  unread: number;
}

export interface Tunnel {
  direction: "in" | "out";
  namespace: string;
  service: string;
  port: number;
  protocol: string;
  state: string;
  address: string;
  error: string;
  pods: { name: string; ready: boolean }[];
  connections: { open: number; total: number; failed: number };
  bytes: { sent: number; received: number };
}

export interface Session {
  id: string;
  name: string;
  kind: string;
  of: string;
  context: string;
  namespace: string;
  openedAt: string;
  health: "well" | "unwell" | "unknown";
  notes: string[];
  tunnels: Tunnel[];
}

export interface OpenSessions {
  at: number;
  sessions: Session[];
}

export interface Batch {
  changed: Summary[];
  removed: number[];
  stats: Stats;
}

export class ApiError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  /** What went wrong and what to do, for a person. */
  get said(): string {
    return [this.message, this.hint].filter(Boolean).map(sentence).join(" ");
  }
}

const sentence = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

/** Rejects with an {@link ApiError}. */
export async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api${path}`, {
      method,
      ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("GONE", "Shipside doesn't answer", "It may have been stopped: run shipside status.");
  }
  if (response.status === 204) return undefined as T;
  const answer = (await response.json()) as T & { error?: { code: string; message: string; hint?: string } };
  if (answer.error) throw new ApiError(answer.error.code, answer.error.message, answer.error.hint ?? "");
  return answer;
}

export const query = (values: Record<string, string | number | boolean>): string =>
  new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)])).toString();
