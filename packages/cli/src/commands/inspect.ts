import { type CommandModule, flag } from "../command.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { openBrowser } from "../inspect/browser.ts";
import { type FoundInspector, findInspectors } from "../inspect/places.ts";
import { requestLine } from "../inspect/request-line.ts";
import { tail } from "../inspect/tail.ts";
import type { Interrupt } from "../interrupt.ts";
import { plainText } from "../plain-text.ts";
import type { Terminal } from "../terminal.ts";

/** Opens the page, or with `--tail` prints requests as they end. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const filter = invocation.words.join(" ");
  const inspectors = await findInspectors();
  if (flag(invocation, "tail")) return follow(inspectors, filter, terminal, interrupt);
  if (filter !== "")
    throw cliError("USAGE", "a filter is for --tail", {
      hint: `shipside inspect --tail ${JSON.stringify(filter)}; the page has a field for it`,
    });
  terminal.result(
    inspectors.map(({ once: _once, port: _port, ...place }) => place),
    inspectors.map(({ link, sessions }) => (inspectors.length > 1 ? `${link}  ${sessions.join(", ")}` : link)).join("\n"),
  );
  if (!terminal.json && process.stdout.isTTY) {
    const opened = await openBrowser(inspectors[0]!.once);
    terminal.say(opened ? "opened in your browser" : "open it in a browser of this machine; who has this link sees the traffic");
  }
  return EXIT.ok;
};

async function follow(
  inspectors: readonly FoundInspector[],
  filter: string,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<number> {
  await Promise.all(
    inspectors.map(({ port, token, url }) =>
      tail({
        ...{ port, token, filter, signal: interrupt.signal },
        onOpen: () => terminal.say(`requests of ${terminal.err("bold", url)} as they end; Ctrl-C ends this`),
        onRequest(request) {
          const line = terminal.json ? JSON.stringify(request) : requestLine(request, terminal.out);
          process.stdout.write(`${process.stdout.isTTY ? plainText(line) : line}\n`);
        },
        onDropped: (bytes) => terminal.warn(`${bytes} bytes so far were not captured: too much came at once`),
      }),
    ),
  );
  if (!interrupt.by) terminal.say("the inspector has closed: nothing is open any more");
  // Whoever follows ends it by a signal: that is its good end.
  return EXIT.ok;
}
