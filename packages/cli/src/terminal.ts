import { type ErrorJson, errorToJson } from "@shipside/core";
import { oneItem, plainText } from "./plain-text.ts";
import { pointAtRbac } from "./rbac-hint.ts";

/** The parts of a stream that output needs. */
export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface TerminalOptions {
  stdout: OutputStream;
  stderr: OutputStream;
  env: NodeJS.ProcessEnv;
  json?: boolean;
  quiet?: boolean;
}

export type Style = "bold" | "dim" | "green" | "yellow" | "red" | "cyan";

const SGR: Record<Style, readonly [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39],
  cyan: [36, 39],
};

/** Colours text, or leaves it. */
export type Paint = (style: Style, text: string) => string;

export interface Shown {
  /** Columns, where it is a terminal. */
  width: number | undefined;
  color: boolean;
}

/**
 * What commands say. Results go to stdout, everything else to stderr, so that a pipe gets nothing but results. With `--json`, stdout
 * carries exactly one JSON document; with `-q`, stderr only warnings and errors. What others have named or said can't command the terminal.
 */
export interface Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  /** For what goes to stdout, and to stderr. */
  readonly out: Paint;
  readonly err: Paint;
  /** How tables are shown there. */
  readonly outShows: Shown;
  readonly errShows: Shown;
  /** A step that takes a while: a line that moves on a terminal, nothing in a pipe until it is `done`. */
  busy(text: string): void;
  /** A step that is done. */
  done(text: string): void;
  /** A line that belongs to the last step, or stands by itself. */
  say(text?: string): void;
  /** Also with `-q`. */
  warn(text: string): void;
  /** The command's result: `human` without `--json`, `data` with. The first one wins: there is one document. */
  result(data: unknown, human: string): void;
  /** A coded error: lines for a person on stderr, and the document with `--json`. */
  error(error: unknown): void;
  /** Takes a moving line away. */
  settle(): void;
}

export function createTerminal(options: TerminalOptions): Terminal {
  const { stdout, stderr, env, json = false, quiet = false } = options;
  const unicode = isUnicode(env);
  const marks = unicode ? { done: "✓", warn: "!", frames: [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"] } : { done: "*", warn: "!", frames: [..."|/-\\"] };
  const err = painter(shouldColor(env, stderr));
  const moves = stderr.isTTY === true && env["TERM"] !== "dumb" && !quiet;
  let moving: NodeJS.Timeout | undefined;
  let answered = false;

  const settle = (): void => {
    if (!moving) return;
    clearInterval(moving);
    moving = undefined;
    stderr.write("\r\x1b[K");
  };
  const line = (text: string): void => {
    settle();
    stderr.write(`${plainText(text)}\n`);
  };
  // A program that reads a pipe gets what it asked for; a person sees it.
  const write = (text: string): void => void stdout.write(`${stdout.isTTY ? plainText(text) : text}\n`);
  const document = (data: unknown): void => {
    if (answered) return;
    answered = true;
    write(JSON.stringify(data, undefined, 2));
  };

  return {
    json,
    quiet,
    out: painter(shouldColor(env, stdout)),
    err,
    outShows: shown(env, stdout),
    errShows: shown(env, stderr),
    busy(text) {
      settle();
      if (!moves) return;
      let frame = 0;
      const width = Math.max(20, columnsOf(stderr) - 4);
      const draw = (): void => {
        const mark = marks.frames[frame++ % marks.frames.length]!;
        stderr.write(`\r\x1b[K${err("cyan", mark)} ${err("dim", plainText(text).replaceAll("\n", " ").slice(0, width))}`);
      };
      draw();
      moving = setInterval(draw, 100).unref();
    },
    done(text) {
      if (!quiet) line(`${err("green", marks.done)} ${oneItem(text)}`);
      else settle();
    },
    say(text = "") {
      if (!quiet) line(text);
    },
    warn(text) {
      line(`${err("yellow", marks.warn)} ${oneItem(text)}`);
    },
    result(data, human) {
      settle();
      if (json) document(data);
      else if (human !== "") write(human.endsWith("\n") ? human.slice(0, -1) : human);
    },
    error(error) {
      const plain = pointAtRbac(errorToJson(error));
      for (const each of errorLines(plain, err)) line(each);
      if (json) document({ error: plain });
    },
    settle,
  };
}

/** An error for a person: what, why, what to do. */
export function errorLines(error: ErrorJson, paint: Paint): string[] {
  return [`${paint("red", `error[${error.code}]:`)} ${oneItem(error.message)}`, ...explain(error, paint)];
}

/** The causes, where they say something new, and the hint. */
export function explain(error: ErrorJson, paint: Paint): string[] {
  const lines: string[] = [];
  const said = [error.message];
  for (let [cause] = error.causes ?? []; cause; [cause] = cause.causes ?? []) {
    const { message } = cause;
    if (message !== "" && !said.some((text) => text.includes(message)))
      lines.push(`  ${paint("dim", `because: ${oneItem(message)}`)}`);
    said.push(message);
  }
  const [first, ...more] = error.hint?.split("\n") ?? [];
  if (first !== undefined) lines.push(`${paint("cyan", "hint:")} ${first}`, ...more.map((line) => `      ${line}`));
  return lines;
}

/** https://no-color.org; FORCE_COLOR as Node reads it, and before NO_COLOR as there. */
export function shouldColor(env: NodeJS.ProcessEnv, stream: Pick<OutputStream, "isTTY">): boolean {
  const force = env["FORCE_COLOR"];
  if (force !== undefined) return force !== "0" && force !== "false";
  if (env["NO_COLOR"]) return false;
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** A terminal that was never told its size says 0. */
const columnsOf = ({ columns }: Pick<OutputStream, "columns">): number => columns || 80;

const shown = (env: NodeJS.ProcessEnv, stream: OutputStream): Shown => ({
  width: stream.isTTY ? columnsOf(stream) : undefined,
  color: shouldColor(env, stream),
});

function painter(color: boolean): Paint {
  if (!color) return (_style, text) => text;
  return (style, text) => `\x1b[${SGR[style][0]}m${text}\x1b[${SGR[style][1]}m`;
}

/** Whether the locale can show more than ASCII; macOS and Windows terminals can whatever it says. */
export function isUnicode(env: NodeJS.ProcessEnv): boolean {
  if (process.platform !== "linux") return true;
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"];
  return locale === undefined || !/^(C|POSIX)$/.test(locale);
}
