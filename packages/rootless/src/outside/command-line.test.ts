import { expect, test } from "vitest";
import { freeNetwork, type Place, pastaLine, slirpLine } from "./command-line.ts";

const place: Place = { pid: 77, uid: 1000, gid: 1000, ipv6: false, clusterAddresses: ["10.96.0.1"] };
const pasta = {
  path: "/usr/bin/pasta",
  help: "  --config-net\tConfigure\n  --no-map-gw\tDon't\n  --no-dhcp\tDisable\n  --no-ra Disable",
};
const slirp = {
  path: "/usr/bin/slirp4netns",
  help: "--disable-host-loopback x\n--userns-path=PATH\n--enable-ipv6 y\n--disable-dns",
};

test("pasta forwards no port, and has the options that it says it has", () => {
  expect(pastaLine(pasta, place).join(" ")).toBe(
    "/usr/bin/pasta --foreground --quiet --config-net --no-map-gw --tcp-ports none --udp-ports none --tcp-ns none --udp-ns none --no-dhcp --no-ra 77",
  );
  expect(pastaLine(pasta, { ...place, uid: 0, gid: 0 }).slice(-3)).toEqual(["--runas", "0:0", "77"]);
});

test("slirp4netns takes no network with an address of the cluster's", () => {
  expect(slirpLine(slirp, place).join(" ")).toBe(
    "/usr/bin/slirp4netns --configure --mtu=65520 --disable-host-loopback --disable-dns --userns-path=/proc/77/ns/user --netns-type=path /proc/77/ns/net tap0",
  );
  const taken = slirpLine(slirp, { ...place, ipv6: true, clusterAddresses: ["fd00::1", "10.0.2.17"] });
  expect(taken).toContain("--cidr=172.31.250.0/24");
  expect(taken).toContain("--enable-ipv6");
  expect(freeNetwork(["10.0.2.1", "172.31.250.1", "192.168.250.9", "198.18.250.1"])).toBe("10.0.2.0/24");
});

test("one without the option that keeps localhost out is not used", () => {
  for (const run of [
    () => pastaLine({ ...pasta, help: "--config-net --no-map-gw-at-all" }, place),
    () => slirpLine({ ...slirp, help: "--userns-path" }, place),
  ]) {
    expect(run).toThrow(expect.objectContaining({ code: "ROOTLESS_OUTSIDE_FAILED", message: expect.stringMatching(/has no --/) }));
  }
});
