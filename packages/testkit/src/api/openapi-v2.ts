import type { Resource } from "./resources.ts";

/**
 * OpenAPI v2 in gnostic's protobuf encoding, the only form that kubectl before 1.24 takes. It tells of each kind just that it can be
 * patched, and that as a dry run; types it leaves out, and so validation to the server.
 */
export function openApiV2Protobuf(resources: readonly Resource[], info: { title: string; version: string }): Buffer {
  const paths = resources.map((resource) => {
    const { group, version, kind, plural } = resource;
    const base = group ? `/apis/${group}/${version}` : `/api/${version}`;
    // PathItem.patch, of an Operation with one query parameter and the kind as its vendor extension.
    const operation = Buffer.concat([
      field(8, DRY_RUN),
      field(13, named("x-kubernetes-group-version-kind", field(2, `group: "${group}"\nkind: ${kind}\nversion: ${version}\n`))),
    ]);
    return field(2, named(`${base}/${plural}/{name}`, field(8, operation)));
  });
  return Buffer.concat([
    field(1, "2.0"),
    field(2, Buffer.concat([field(1, info.title), field(2, info.version)])),
    field(8, Buffer.concat(paths)),
  ]);
}

function field(number: number, content: Buffer | string): Buffer {
  const body = Buffer.from(content as string);
  const length: number[] = [];
  for (let rest = body.length; ; rest >>>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), body]);
}

/** gnostic's NamedPathItem, NamedAny and so on. */
const named = (name: string, value: Buffer): Buffer => Buffer.concat([field(1, name), field(2, value)]);

/** ParametersItem.parameter → Parameter.non_body_parameter → NonBodyParameter.query → name. */
const DRY_RUN = field(1, field(2, field(3, Buffer.concat([field(2, "query"), field(4, "dryRun")]))));
