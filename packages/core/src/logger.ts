/** What libraries write to. Fields are data for a structured log; secrets never go in. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** The default of every `logger` option: a library prints nothing unless asked. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
