import { expect, test } from "vitest";
import { listenNamed, startRig, talk } from "./fixtures/rig.ts";

const mine = { headers: [{ name: "x-user", value: "me" }] };

test("each request of one connection goes to whom it belongs", async () => {
  await using pods = await listenNamed("pods");
  await using laptop = await listenNamed("laptop");
  await using rig = await startRig(pods.port);
  rig.lease("me", mine, laptop.port);
  const answer = await talk(
    rig.port,
    "GET /1 HTTP/1.1\r\nHost: s\r\n\r\n" +
      "POST /2 HTTP/1.1\r\nHost: s\r\nX-User: me\r\nContent-Length: 5\r\n\r\nhello" +
      "POST /3 HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
      "GET /4 HTTP/1.1\r\nHost: s\r\nx-user: me\r\nConnection: close\r\n\r\n",
  );
  expect(answer.match(/^(?:pods|laptop) .*$/gm)).toEqual([
    "pods GET /1 0",
    "laptop POST /2 5",
    "pods POST /3 3",
    "laptop GET /4 0",
  ]);
  expect([pods.connections, laptop.connections]).toEqual([1, 1]);
});
