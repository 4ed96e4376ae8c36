import type { PodSpec, Workload } from "@shipside/kube";
import { expect, test } from "vitest";
import { podInfo } from "./session-pod.ts";

const workload = (kind: string, podSpec: Partial<PodSpec>, name = "core", spec: object = {}): Workload =>
  ({ kind, name, namespace: "shop", podSpec: { containers: [], ...podSpec }, object: { spec } }) as unknown as Workload;

test("the workload's name, the pod's own, a StatefulSet's first; the full one where there is a subdomain", () => {
  expect(podInfo(workload("deployment", {}))).toEqual({ hostname: "core" });
  expect(podInfo(workload("pod", { hostname: "me", subdomain: "us" }))).toEqual({
    hostname: "me",
    fqdn: "me.us.shop.svc.cluster.local",
  });
  expect(podInfo(workload("statefulset", { hostname: "ignored" }, "db", { serviceName: "db" }))).toEqual({
    hostname: "db-0",
    fqdn: "db-0.db.shop.svc.cluster.local",
  });
  const whole = { subdomain: "us", setHostnameAsFQDN: true };
  expect(podInfo(workload("deployment", whole))).toMatchObject({ hostname: "core.us.shop.svc.cluster.local" });
  expect(podInfo(workload("deployment", whole, "n".repeat(50)))).toMatchObject({ hostname: "n".repeat(50) });
  expect(podInfo(workload("deployment", {}, `${"n".repeat(60)}.-.tail`))).toEqual({ hostname: "n".repeat(60) });
});

test("how it asks for names goes along", () => {
  const dns = { dnsPolicy: "None" as const, dnsConfig: { nameservers: ["192.0.2.1"] }, hostNetwork: true };
  expect(podInfo(workload("deployment", dns))).toEqual({ hostname: "core", ...dns });
});
