import { type LookupAddress, lookup } from "node:dns";
import { BlockList, isIP, isIPv6, type LookupFunction } from "node:net";

/** Addresses of this machine's localhost in every way of writing them: those it listens on for itself alone. */
const LOCALHOST = new BlockList();
LOCALHOST.addSubnet("127.0.0.0", 8, "ipv4");
LOCALHOST.addSubnet("0.0.0.0", 8, "ipv4");
LOCALHOST.addAddress("::1", "ipv6");
LOCALHOST.addAddress("::", "ipv6");

export const isLocalhost = (address: string): boolean =>
  isIP(address) !== 0 && LOCALHOST.check(address, isIPv6(address) ? "ipv6" : "ipv4");

/** The code of what a connection fails with that would have led to localhost. */
export const LOCALHOST_REFUSED = "LOCALHOST_REFUSED";

export const localhostRefused = (host: string): Error =>
  Object.assign(new Error(`${host} is this machine's localhost, which is not reachable from in here`), { code: LOCALHOST_REFUSED });

/** As dns.lookup, but for names that lead to localhost: it is asked and checked once, so that no second answer can differ. */
export const lookupElsewhere: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, all: LookupAddress[] = []) => {
    const elsewhere = all.filter(({ address }) => !isLocalhost(address));
    const [first] = elsewhere;
    if (error) done(error, "", 0);
    else if (!first) done(localhostRefused(host), "", 0);
    else if (options.all) done(null, elsewhere);
    else done(null, first.address, first.family);
  });
};
