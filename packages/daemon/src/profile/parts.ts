import { ruleProblem } from "@shipside/tunnel";
import { type Field, flag, list, type ObjectField, text } from "./fields.ts";

/** What every entry can have. */
export const ENTRY = {
  name: text("What the session can be called by: `shipside session close NAME`.", { pattern: "[A-Za-z][\\w.-]{0,62}" }),
} satisfies Record<string, Field>;

/** Of what has traffic. */
export const CAPTURE = {
  capture: flag("What the inspector keeps of its traffic: true, of a teleport, what goes out by tunnels; false, nothing."),
} satisfies Record<string, Field>;

export const FORMAT = text(
  "sh, env, json, yaml, docker, compose, fish, powershell, direnv, systemd, k8s. Default: by the file's name.",
);

/** Where an entry, or the whole file, is meant. */
export const WHERE = {
  kubeconfig: text("Path of a kubeconfig file. Default: $KUBECONFIG, ~/.kube/config.", { path: true }),
  context: text("The kubeconfig's context."),
  namespace: namespaceField("The home namespace: its services also have their short names. Default: the context's."),
} satisfies Record<string, Field>;

export function namespaceField(describe: string): Field {
  return text(describe, { pattern: "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?" });
}

export const SERVICES = list(
  "Which services, by rules; the last one that fits decides: a name, name.namespace, *.namespace, name-*, a label selector (app=web,tier!=test), or one of them after `!`. Where the first is an exclusion, all others are in.",
  text("A rule.", {
    problem: (rule) => {
      const why = ruleProblem(rule);
      return why && `${JSON.stringify(rule)} ${why}`;
    },
  }),
);

/** What expose and intercept have in common. */
export const INCOMING = {
  service: text("The Service's name."),
  ports: list(
    "[NAME=]REMOTE[:LOCAL][/udp]: the service's port, and the one on this machine.",
    text("Such as 80:8080.", { orNumber: true }),
  ),
  graceSeconds: {
    type: "number",
    describe: "How long the relay stays when this machine isn't linked, in s. Default 60.",
    least: 1,
    most: 86_400,
  },
  image: text("What the relay runs in: a Node of 22 or later."),
} satisfies Record<string, Field>;

/** A folder of volumes. */
export const MOUNT = {
  path: text("The folder under which the volumes appear, each at its own mount path.", { path: true }),
  only: list("These volumes alone.", text("A volume's name, or a mount path.")),
  readOnly: flag("Nothing can be written."),
  from: text("emptyDirs: empty ones here, as the spec says, or the running pod's.", { oneOf: ["spec", "running"] }),
  driver: text("How volumes that aren't written from the API get here. Default auto: the first driver that can work here."),
  ignore: list(
    "Of driver sync: names, and paths with a /, that are let alone on both sides.",
    text("Such as node_modules, *.tmp."),
  ),
} satisfies Record<string, Field>;

export const MOUNT_NEEDS = { ignore: "driver" };

/** A variable's choice, as for `shipside env`. */
export const ENV: ObjectField = {
  type: "object",
  describe: "Which of the workload's variables, and from where.",
  fields: {
    from: text("The spec, or what the container in a pod really has.", { oneOf: ["spec", "running"] }),
    only: list("These variables alone; globs such as DB_*.", text("A glob.")),
    except: list("All but these; globs.", text("A glob.")),
    secrets: flag("false: nothing that comes from a Secret."),
    skipForbidden: flag("Go on without what may not be read."),
    set: { type: "map", describe: "These values in any case.", of: text("A value.", { mayBeEmpty: true }) },
  },
};
