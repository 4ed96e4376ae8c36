import { type Check, ok, problem, warning } from "../check.ts";

/** The Date header has whole seconds, and the way takes time. */
const WARN_S = 10;
/** As much as token issuers and certificates commonly allow for. */
const BAD_S = 120;

/** This machine's clock against the API server's. */
export const clock: Check = {
  id: "clock",
  title: "clock",
  async run(context) {
    const answer = await context.answer().catch(() => undefined);
    // The clock of who answers in its place says nothing.
    if (!answer?.date || answer.foreign) return [];
    const { date, answeredMs, arrivedAt } = answer;
    const seconds = Math.round((arrivedAt.getTime() - answeredMs / 2 - date.getTime() - 500) / 1000);
    const off = `this machine's clock is ${span(Math.abs(seconds))} ${seconds > 0 ? "ahead of" : "behind"} the API server's`;
    const hint = "let both take the time from NTP (timedatectl set-ntp true)";
    if (Math.abs(seconds) >= BAD_S) return [problem(off, `${hint}: certificates and tokens will be refused`, { seconds })];
    if (Math.abs(seconds) >= WARN_S) return [warning(off, hint, { seconds })];
    return [ok("as the API server's", { seconds })];
  },
};

const span = (seconds: number): string =>
  seconds < 120 ? `${seconds} s` : seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
