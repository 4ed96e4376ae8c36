import { type Exchange, headerOf } from "../exchange.ts";

/** By number: https://grpc.io/docs/guides/status-codes/ */
const STATUS =
  "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split(
    " ",
  );

/** How a call of gRPC ended: in its trailers, or in its head where nothing was answered. Undefined where it isn't known. */
export function grpcStatus({ responseHeaders, responseTrailers }: Exchange): { status: string; message: string } | undefined {
  const of = (name: string): string | undefined => headerOf(responseTrailers, name) ?? headerOf(responseHeaders, name);
  const code = of("grpc-status");
  if (code === undefined) return undefined;
  return { status: `${code} ${STATUS[Number(code)] ?? ""}`.trim(), message: unescaped(of("grpc-message") ?? "") };
}

/** The same in a line. */
export function grpcLine(exchange: Exchange): string {
  const { status = "", message = "" } = grpcStatus(exchange) ?? {};
  return status + (message && `: ${message}`);
}

/** Percent-encoded by its specification; some don't. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
