import { mayI } from "@shipside/kube";
import { USUAL } from "../../rbac/commands.ts";
import { describeRight, type Right, rightsOf } from "../../rbac/rule.ts";
import { type Check, type Finding, ok, problem, warning } from "../check.ts";
import { reachedCluster } from "../context.ts";

/** What Shipside is mostly used for: without these it is of no use here. */
const MAIN = new Set(["teleport namespace", "teleport", "env"]);

/** Which commands this user may run in this namespace, and which rule is missing for the others. */
export const rights: Check = {
  id: "rights",
  title: "rights",
  async run(context, signal) {
    const cluster = await reachedCluster(context);
    if (!cluster) return [];
    const { namespace } = cluster.info;
    const asked = new Map<string, Promise<boolean>>();
    const allowed = (right: Right): Promise<boolean> => {
      const { verb, group, resource, namespace: where, name } = right;
      const wish = { verb, group, resource, ...(where !== undefined && { namespace: where }), ...(name !== undefined && { name }) };
      const key = JSON.stringify(wish);
      const answer = asked.get(key) ?? mayI(cluster, wish, { signal }).then((given) => given.allowed);
      asked.set(key, answer);
      return answer;
    };

    /** Missing rights by their description, with the commands that want them. */
    const missing = new Map<string, { right: Right; commands: string[] }>();
    const fine: string[] = [];
    for (const { command, lacks } of await Promise.all(
      USUAL.map(async ({ command, rules }) => {
        const all = rightsOf(rules(namespace));
        const answers = await Promise.all(all.map(allowed));
        return { command, lacks: all.filter((_, i) => !answers[i]) };
      }),
    )) {
      if (lacks.every(({ optional }) => optional !== undefined)) fine.push(command);
      for (const right of lacks) {
        const key = describeRight(right);
        const entry = missing.get(key) ?? { right, commands: [] };
        // What one command can do without may be what another one needs.
        if (right.optional === undefined) entry.commands.push(command);
        missing.set(key, entry);
      }
    }

    const findings: Finding[] = fine.length > 0 ? [ok(`may run ${fine.join(", ")} in namespace ${namespace}`)] : [];
    const less = [...missing.values()].filter(({ commands }) => commands.length === 0).map(({ right }) => atHome(right, namespace));
    // What the same commands want in the same place is asked for together.
    const groups = Map.groupBy(
      [...missing.values()].filter(({ commands }) => commands.length > 0),
      ({ right, commands }) => JSON.stringify([right.namespace, commands]),
    );
    for (const group of groups.values())
      findings.push(
        groupFinding(
          group.map(({ right }) => right),
          group[0]!.commands,
        ),
      );
    if (less.length > 0) findings.push(ok(`does without some that are optional: ${less.join(", ")}`, { optional: less }));
    return findings;
  },
};

/** Of the home namespace it needn't be said that it is of that. */
function atHome({ namespace, ...right }: Right, home: string): string {
  return describeRight(namespace === undefined || namespace === home ? right : { ...right, namespace });
}

function groupFinding(missing: readonly Right[], commands: readonly string[]): Finding {
  const [first] = missing as [Right];
  const { namespace } = first;
  const what = missing.map(({ namespace: _place, ...right }) => describeRight(right)).join(", ");
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  const rules = missing.map(toRule);
  const place = namespace === undefined ? "a ClusterRole" : `a Role${where}`;
  const hint =
    rules.length === 1
      ? `ask for this rule in ${place}: ${JSON.stringify(rules[0])}; a command with --print-rbac prints all it needs`
      : `ask for the Role that \`shipside ${commands[0]} … --print-rbac\` prints`;
  const level = commands.some((command) => MAIN.has(command)) ? problem : warning;
  return level(`may not ${what}${where}: needed by ${commands.join(", ")}`, hint, {
    ...(namespace && { namespace }),
    rules,
    commands,
  });
}

const toRule = ({ group, resource, verb, name }: Right): Record<string, unknown> => ({
  ...{ apiGroups: [group], resources: [resource], verbs: [verb] },
  ...(name !== undefined && { resourceNames: [name] }),
});
