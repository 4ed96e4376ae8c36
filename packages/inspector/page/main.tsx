import { render } from "preact";
import { api } from "./api.ts";
import { App } from "./app.tsx";

/** The token comes in the fragment, which is sent to nobody, and leaves the address bar at once. */
async function start(): Promise<void> {
  const given = new URLSearchParams(location.hash.slice(1));
  const request = Number(given.get("request")) || undefined;
  const token = given.get("token");
  let allowed = true;
  if (token !== null) {
    history.replaceState(null, "", request === undefined ? location.pathname : `#request=${request}`);
    allowed = await api("POST", "/login", { token }).then(
      () => true,
      () => false,
    );
  }
  render(<App opened={request} allowed={allowed} />, document.getElementById("app")!);
}

void start();
