import { BACKEND_LABEL } from "@shipside/core";
import { expect, test } from "vitest";
import { sessionServices } from "./session-services.ts";

const web = { namespace: "shop", name: "web", labels: {} };
const backend = { namespace: "shop", name: "shipside-web-backend", labels: { [BACKEND_LABEL]: "web" } };

test.each([[[]], [["*"]], [["shipside-web-backend", "web"]], [["!other"]]])(
  "with the rules %j: what an intercept made for its relay is in nobody's session",
  (rules) => {
    const { admits } = sessionServices(rules, "shop");
    expect([admits(web), admits(backend)]).toEqual([true, false]);
  },
);
