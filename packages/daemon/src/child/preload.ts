/**
 * The module that Node children preload (`NODE_OPTIONS=--import`). It answers `dns.lookup` from the hosts file that SHIPSIDE_HOSTS
 * names, reading it each time because names come and go, and hands everything else on. Kept as text: it is written beside that file
 * and must run alone, in any Node since 18.
 */
export const preloadSource = `import dns from "node:dns";
import { readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const path = process.env.SHIPSIDE_HOSTS;
const find = (name) => {
  try {
    const wanted = name.toLowerCase().replace(/\\.$/, "");
    for (const line of readFileSync(path, "utf8").split("\\n")) {
      const [address, ...names] = line.replace(/#.*/, "").trim().split(/\\s+/);
      if (names.some((each) => each.toLowerCase() === wanted)) return { address, family: address.includes(":") ? 6 : 4 };
    }
  } catch {}
  return undefined;
};
const answer = (name, options) => {
  const found = typeof name === "string" ? find(name) : undefined;
  const family = typeof options === "number" ? options : { IPv4: 4, IPv6: 6 }[options?.family] ?? options?.family ?? 0;
  return found && (family === 0 || family === found.family) ? found : undefined;
};

const { lookup } = dns;
dns.lookup = function (name, options, callback) {
  const done = callback ?? options;
  const found = answer(name, callback ? options : undefined);
  if (!found) return lookup.call(this, name, options, callback);
  const all = callback && options?.all;
  process.nextTick(() => (all ? done(null, [found]) : done(null, found.address, found.family)));
  return {};
};
const { lookup: lookupPromise } = dns.promises;
dns.promises.lookup = async function (name, options) {
  const found = answer(name, options);
  if (!found) return lookupPromise.call(this, name, options);
  return options?.all ? [found] : found;
};
syncBuiltinESMExports();
`;
