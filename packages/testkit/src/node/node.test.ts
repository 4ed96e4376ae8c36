import { readdirSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, isReady, js, makeBed, sh, status, text, web } from "./fixtures/bed.ts";
import { availableModes } from "./fixtures/modes.ts";

const modes = await availableModes();

describe.each(modes)("a node with %s", (network) => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await makeBed({ network });
  });
  afterAll(() => bed.node.close());
  afterEach(() => bed.clear());

  it("runs a pod until it is ready, and says so as the kubelet does", async () => {
    bed.pod("ready", {
      containers: [
        web(3000, "q.url", {
          readinessProbe: { httpGet: { path: "/x", port: "http" } },
          ports: [{ name: "http", containerPort: 3000 }],
        }),
      ],
    });
    const pod = await bed.until("ready", isReady);
    expect(pod["spec"].nodeName).toBe("shipside");
    expect(pod["status"]).toMatchObject({
      phase: "Running",
      qosClass: "BestEffort",
      podIPs: [{ ip: pod["status"].podIP }],
      containerStatuses: [
        { name: "main", ready: true, started: true, restartCount: 0, image: "docker.io/library/node:24", state: { running: {} } },
      ],
    });
    const conditions = pod["status"].conditions.map((c: { type: string; status: string }) => `${c.type}=${c.status}`).sort();
    expect(conditions).toEqual([
      "ContainersReady=True",
      "Initialized=True",
      "PodReadyToStartContainers=True",
      "PodScheduled=True",
      "Ready=True",
    ]);
    expect(await bed.get$("ready", 3000, "/hello")).toBe("/hello");
    await expect(bed.node.dialPod("default", "ready", 3999)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(bed.node.dialPod("default", "nobody", 1)).rejects.toMatchObject({ code: "NotFound" });
    expect(bed.events("ready").map((e) => e.split(":")[0])).toEqual(
      expect.arrayContaining(["Scheduled", "Pulled", "Created", "Started"]),
    );
    await bed.remove("ready");
  });

  it("gives a container its own env and nothing of the machine's", async () => {
    bed.create("configmaps", { metadata: { name: "config" }, data: { A: "from config", B: "two\nlines\n" } });
    bed.create("secrets", { metadata: { name: "secret" }, data: { S: Buffer.from("hush").toString("base64") } });
    bed.pod("env", {
      restartPolicy: "Never",
      containers: [
        js("console.log(JSON.stringify(process.env))", {
          envFrom: [{ configMapRef: { name: "config" }, prefix: "P_" }, { secretRef: { name: "none", optional: true } }],
          env: [
            { name: "ONE", value: "1" },
            { name: "TWO", value: "$(ONE)+$(P_A) $$(ONE) $(NONE)" },
            { name: "SECRET", valueFrom: { secretKeyRef: { name: "secret", key: "S" } } },
            { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
            { name: "MEM", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
          ],
          resources: { limits: { memory: "100Mi" } },
        }),
      ],
    });
    const pod = await bed.until("env", (p) => p["status"]?.phase === "Succeeded");
    const env = JSON.parse(await bed.logs("env"));
    expect(env).toMatchObject({
      P_A: "from config",
      P_B: "two\nlines\n",
      TWO: "1+from config $(ONE) $(NONE)",
      SECRET: "hush",
      NAME: "env",
      MEM: "100",
    });
    expect(env).toMatchObject({ HOSTNAME: "env", IP: pod["status"].podIP });
    const own = ["PATH", "HOME", "HOSTNAME", ...(network === "loopback" ? ["POD_IP", "SHIPSIDE_ROOT"] : [])];
    const given = ["P_A", "P_B", "ONE", "TWO", "SECRET", "NAME", "IP", "MEM"];
    const macOnly = "__CF_USER_TEXT_ENCODING";
    expect(
      Object.keys(env)
        .filter((key) => key !== macOnly)
        .sort(),
    ).toEqual([...own, ...given].sort());
    expect(status(pod).state.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
    await bed.remove("env");
  });

  it("waits for a ConfigMap that is missing, and goes on when it comes", async () => {
    bed.pod("late", {
      containers: [
        js("console.log(process.env.X); setInterval(() => {}, 1e6)", {
          env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "late", key: "x" } } }],
        }),
      ],
    });
    const pod = await bed.until("late", (p) => status(p)?.state.waiting?.reason === "CreateContainerConfigError");
    expect(status(pod).state.waiting.message).toBe('configmap "late" not found');
    bed.create("configmaps", { metadata: { name: "late" }, data: { x: "came" } });
    await bed.until("late", isReady);
    await expect.poll(() => bed.logs("late")).toBe("came\n");
    await bed.remove("late");
  });

  it("says ErrImagePull, then ImagePullBackOff, of an image that it can't run", async () => {
    bed.pod("unknown", { containers: [{ name: "main", image: "ghcr.io/nobody/nothing:1" }] });
    await bed.until("unknown", (p) => status(p)?.state.waiting?.reason === "ErrImagePull");
    const pod = await bed.until("unknown", (p) => status(p)?.state.waiting?.reason === "ImagePullBackOff");
    expect(pod["status"].phase).toBe("Pending");
    expect(bed.events("unknown").join("\n")).toContain('Failed to pull image "ghcr.io/nobody/nothing:1"');
    await expect(bed.logs("unknown")).rejects.toThrow("is waiting to start: trying and failing to pull image");
    bed.store.mutate("pods", "default", "unknown", (copy) => {
      Object.assign(copy["spec"].containers[0], { image: "busybox", command: ["sh", "-c", "sleep 100"] });
    });
    await bed.until("unknown", isReady);
    await bed.remove("unknown");
  });

  it("doesn't look for an image elsewhere where it may not", async () => {
    bed.pod("never", { containers: [{ name: "main", image: "absent:1", imagePullPolicy: "Never" }] });
    const pod = await bed.until("never", (p) => status(p)?.state.waiting?.reason === "ErrImageNeverPull");
    expect(status(pod).state.waiting.message).toBe('Container image "absent:1" is not present with pull policy of Never');
    await bed.remove("never");
  });

  it("says as whom its processes run", async () => {
    bed.pod("who", { containers: [js("console.log(process.getuid(), process.getgid()); setInterval(() => {}, 1e3)")] });
    const { uid, gid } = status(await bed.until("who", isReady)).user.linux;
    await expect.poll(() => bed.logs("who")).toBe(`${uid} ${gid}\n`);
    await bed.remove("who");
  });

  it("starts a container that fails again, later each time, and keeps the last log", async () => {
    bed.pod("crash", { containers: [js("console.log(Date.now()); process.exit(3)")] });
    const pod = await bed.until(
      "crash",
      (p) => status(p)?.state.waiting?.reason === "CrashLoopBackOff" && status(p).restartCount >= 1,
    );
    expect(status(pod).lastState.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
    expect(status(pod).state.waiting.message).toMatch(/^back-off 150ms restarting failed container=main pod=crash_default\(/);
    expect(pod["status"].phase).toBe("Running");
    await bed.until("crash", (p) => status(p).restartCount >= 2);
    await expect.poll(() => bed.logs("crash", { previous: true })).toMatch(/^\d+\n$/);
    expect(
      bed.events("crash").some((e) => e.startsWith("BackOff: Back-off restarting failed container main in pod crash_default(")),
    ).toBe(true);
    await bed.remove("crash");
  });

  it("tells a program that doesn't exist as a start error", async () => {
    bed.pod("nothing", { restartPolicy: "Never", containers: [{ name: "main", image: "busybox", command: ["no-such-program"] }] });
    const pod = await bed.until("nothing", (p) => p["status"]?.phase === "Failed");
    expect(status(pod).state.terminated).toMatchObject({ exitCode: 128, reason: "StartError" });
    expect(status(pod).state.terminated.message).toContain('exec: "no-such-program": executable file not found in $PATH');
    await bed.remove("nothing");
  });

  it("runs init containers one after another, a sidecar beside, and only then the rest", async () => {
    bed.pod("init", {
      restartPolicy: "Never",
      volumes: [{ name: "shared", emptyDir: {} }],
      initContainers: [
        {
          ...sh("echo one >> $SHIPSIDE_ROOT/shared/order"),
          name: "first",
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
        { ...sh("sleep 1000"), name: "beside", restartPolicy: "Always" },
        {
          ...sh("echo two >> $SHIPSIDE_ROOT/shared/order"),
          name: "second",
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
      ],
      containers: [{ ...sh("cat $SHIPSIDE_ROOT/shared/order"), volumeMounts: [{ name: "shared", mountPath: "/shared" }] }],
    });
    const pod = await bed.until("init", (p) => p["status"]?.phase === "Succeeded");
    expect(await bed.logs("init")).toBe("one\ntwo\n");
    expect(pod["status"].initContainerStatuses.map((c: { name: string }) => c.name)).toEqual(["first", "beside", "second"]);
    await bed.until("init", (p) => status(p, "beside").state.terminated);
    await bed.remove("init");
  });

  it("doesn't run an init container again that has done its work, whatever the pod's restart policy", async () => {
    bed.pod("once", {
      restartPolicy: "Always",
      initContainers: [{ ...sh("exit 0"), name: "first" }],
      containers: [sh("sleep 1000")],
    });
    const pod = await bed.until("once", (p) => status(p)?.ready);
    expect(status(pod, "first")).toMatchObject({ restartCount: 0, state: { terminated: { reason: "Completed" } } });
    await bed.remove("once");
  });

  it("fails a pod whose init container fails and isn't tried again", async () => {
    bed.pod("badinit", {
      restartPolicy: "Never",
      initContainers: [{ ...sh("exit 7"), name: "first" }],
      containers: [sh("echo never")],
    });
    const pod = await bed.until("badinit", (p) => p["status"]?.phase === "Failed");
    expect(status(pod, "first").state.terminated.exitCode).toBe(7);
    expect(status(pod).state.waiting.reason).toBe("PodInitializing");
    await bed.remove("badinit");
  });

  it("lets a container end in its own time, and kills it when that is over", async () => {
    const polite = `process.on("SIGTERM", () => { console.log("bye"); setTimeout(() => process.exit(0), 100) }); setInterval(() => {}, 1e6); console.log("up")`;
    bed.pod("polite", { containers: [js(polite)] });
    bed.pod("stubborn", { containers: [js(`process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); console.log("up")`)] });
    await expect.poll(() => bed.logs("polite").catch(() => "")).toBe("up\n");
    await expect.poll(() => bed.logs("stubborn").catch(() => "")).toBe("up\n");
    const log = await bed.node.logs("default", "polite", { follow: true, previous: false, timestamps: false });
    const whole = text(log);
    let last = "";
    const stop = bed.store.subscribe(({ object, resource }) => {
      if (resource === "pods" && object.metadata.name === "polite") last = object["status"].phase;
    });
    await bed.remove("polite", 5);
    stop();
    expect(await whole).toBe("up\nbye\n");
    expect(last).toBe("Succeeded");
    const from = Date.now();
    await bed.remove("stubborn", 1);
    expect(Date.now() - from).toBeGreaterThan(900);
    expect(Date.now() - from).toBeLessThan(10_000);
  });

  it("runs the preStop hook before it sends SIGTERM", async () => {
    const code = `process.on("SIGTERM", () => { console.log("term"); process.exit(0) }); setInterval(() => {}, 1e6); console.log("up")`;
    bed.pod("hook", {
      containers: [js(code, { lifecycle: { preStop: { exec: { command: ["sh", "-c", "sleep 0.2"] } } } })],
    });
    await expect.poll(() => bed.logs("hook").catch(() => "")).toBe("up\n");
    const from = Date.now();
    await bed.remove("hook");
    expect(Date.now() - from).toBeGreaterThan(190);
  });

  it("restarts what a liveness probe finds dead, and unreadies what a readiness probe finds busy", async () => {
    bed.pod("probed", {
      containers: [
        web(
          3000,
          `q.url === "/break" ? (global.broken = true) : q.url === "/busy" ? (global.busy = true) : q.url === "/ready" && global.busy ? (s.statusCode = 503) : q.url === "/live" && global.broken ? (s.statusCode = 500) : "ok"`,
          {
            readinessProbe: { httpGet: { path: "/ready", port: 3000 }, periodSeconds: 0.1, failureThreshold: 2 },
            livenessProbe: {
              httpGet: { path: "/live", port: 3000 },
              periodSeconds: 0.1,
              failureThreshold: 2,
              terminationGracePeriodSeconds: 1,
            },
            startupProbe: { tcpSocket: { port: 3000 }, periodSeconds: 0.1, failureThreshold: 100 },
          },
        ),
      ],
    });
    await bed.until("probed", isReady);
    await bed.get$("probed", 3000, "/busy");
    await bed.until("probed", (p) => !isReady(p) && status(p).started);
    await bed.get$("probed", 3000, "/break");
    await bed.until("probed", (p) => status(p).restartCount === 1 && isReady(p));
    const events = bed.events("probed").join("\n");
    expect(events).toContain("Liveness probe failed: HTTP probe failed with statuscode: 500");
    expect(events).toContain("Container main failed liveness probe, will be restarted");
    await bed.remove("probed");
  });

  it("probes by running a command", async () => {
    bed.pod("execprobe", {
      containers: [
        {
          ...sh("sleep 1000"),
          readinessProbe: { exec: { command: ["sh", "-c", "cat $SHIPSIDE_ROOT/tmp-ok"] }, periodSeconds: 0.1 },
        },
      ],
    });
    const failed = /Unhealthy: Readiness probe failed: cat: .*No such file or directory/;
    await expect.poll(() => bed.events("execprobe").join("\n")).toMatch(failed);
    await bed.exec("execprobe", ["sh", "-c", "touch $SHIPSIDE_ROOT/tmp-ok"]);
    await bed.until("execprobe", isReady);
    await bed.remove("execprobe", 0);
  });

  it("kills, hangs and resumes a pod on request", async () => {
    bed.pod("victim", { containers: [web(3000, "process.pid", { readinessProbe: { tcpSocket: { port: 3000 } } })] });
    await bed.until("victim", isReady);
    await bed.node.hangPod("default", "victim");
    const answer = bed.get$("victim", 3000);
    expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, "silence"))])).toBe("silence");
    await bed.node.resumePod("default", "victim");
    expect(Number(await answer)).toBeGreaterThan(0);
    await bed.node.killPod("default", "victim");
    const pod = await bed.until("victim", (p) => status(p).restartCount === 1 && isReady(p));
    expect(status(pod).lastState.terminated.exitCode).toBe(137);
    await bed.remove("victim");
  });

  it("runs commands in a container, with input, output, exit code, and refusals", async () => {
    bed.pod("exec", { containers: [sh("sleep 1000", { env: [{ name: "MINE", value: "yes" }] })] });
    await bed.until("exec", isReady);
    expect(await bed.exec("exec", ["sh", "-c", "cat; echo $MINE >&2; exit 3"], "typed\n")).toEqual({
      code: 3,
      stdout: "typed\n",
      stderr: "yes\n",
    });
    const big = "x".repeat(3_000_000);
    expect((await bed.exec("exec", ["cat"], big)).stdout.length).toBe(big.length);
    expect((await bed.exec("exec", ["sh", "-c", "kill -9 $$"])).code).toBe(137);
    await expect(bed.exec("exec", ["no-such-program"])).rejects.toThrow(
      'exec: "no-such-program": executable file not found in $PATH',
    );
    await expect(
      bed.node.exec("default", "exec", { container: "other", command: ["ls"], stdin: false, tty: false }),
    ).rejects.toMatchObject({ code: "NotFound" });
    const endless = await bed.node.exec("default", "exec", { command: ["sleep", "1000"], stdin: false, tty: false });
    endless.kill();
    expect(await endless.exited).toBe(137);
    const terminal = await bed.node.exec("default", "exec", {
      command: ["sh", "-c", "test -t 1 && echo terminal"],
      stdin: true,
      tty: true,
    });
    expect((await text(terminal.stdout)).trim()).toBe("terminal");
    await bed.remove("exec", 0);
  });

  it("keeps logs: times, tails, limits, bounds", async () => {
    bed.pod("log", {
      restartPolicy: "Never",
      containers: [js(`for (let i = 0; i < 5; i++) console.log("line " + i); process.stdout.write("no end")`)],
    });
    await bed.until("log", (p) => p["status"]?.phase === "Succeeded");
    expect(await bed.logs("log")).toBe("line 0\nline 1\nline 2\nline 3\nline 4\nno end");
    expect(await bed.logs("log", { tailLines: 2 })).toBe("line 4\nno end");
    expect(await bed.logs("log", { limitBytes: 10 })).toBe("line 0\nlin");
    expect(await bed.logs("log", { timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z no end$/);
    await expect(bed.logs("log", { previous: true })).rejects.toThrow(
      'previous terminated container "main" in pod "log" not found',
    );
    await bed.remove("log");
  });

  it("leaves a pod unscheduled that doesn't tolerate the node's taint, until the taint is gone", async () => {
    const taint = (taints: object[]): unknown =>
      bed.store.mutate("nodes", undefined, "shipside", (node) => {
        node["spec"] = { ...node["spec"], taints };
      });
    taint([{ key: "only", value: "me", effect: "NoSchedule" }]);
    try {
      bed.pod("tainted", { containers: [sh("sleep 1000")] });
      await bed.until("tainted", (pod) => pod["status"]?.conditions?.[0]?.reason === "Unschedulable");
      expect(bed.events("tainted")).toContain("FailedScheduling: 0/1 nodes are available: 1 node(s) had untolerated taint(s).");
    } finally {
      taint([]);
    }
    await bed.until("tainted", isReady);
    await bed.remove("tainted");
  });

  it("ends a pod at its deadline", async () => {
    bed.pod("deadline", { activeDeadlineSeconds: 0.3, containers: [sh("sleep 1000")] });
    const pod = await bed.until("deadline", (p) => p["status"]?.phase === "Failed");
    expect(pod["status"].reason).toBe("DeadlineExceeded");
    // On a slow machine it may not have begun by then.
    await bed.until("deadline", (p) => !status(p).state.running);
    await bed.remove("deadline", 0);
    // Names change while what held the pod ends: nothing is written into its directory any more.
    for (let n = 1; n <= 8; n++) {
      bed.create("services", { metadata: { name: `passing-${n}` }, spec: { clusterIP: `10.96.1.${n}`, ports: [{ port: 80 }] } });
      await new Promise((resolve) => setTimeout(resolve, 7));
    }
    for (let n = 1; n <= 8; n++) bed.store.remove("services", "default", `passing-${n}`);
  });

  it("leaves no directory of a pod behind", async () => {
    await expect.poll(() => readdirSync(`${bed.node.stateDir}/pods`)).toEqual([]);
  });

  it("passes datagrams to a service's address on to its pods, and their answers back", async () => {
    const code = `const s = require("dgram").createSocket("udp4"); s.on("message", (m, f) => s.send("echo " + m, f.port, f.address)); s.bind(5353, process.env.POD_IP, () => require("net").createServer().listen(5353, process.env.POD_IP))`;
    bed.create("services", {
      metadata: { name: "echo" },
      spec: { clusterIP: "10.96.0.70", ports: [{ name: "dns", protocol: "UDP", port: 53, targetPort: 5353 }] },
    });
    bed.pod("echo", { containers: [js(code, { readinessProbe: { tcpSocket: { port: 5353 } } })] });
    const { podIP } = (await bed.until("echo", isReady))["status"];
    bed.create("endpointslices.discovery.k8s.io", {
      metadata: { name: "echo-x", labels: { "kubernetes.io/service-name": "echo" } },
      addressType: "IPv4",
      ports: [{ name: "dns", port: 5353, protocol: "UDP" }],
      endpoints: [{ addresses: [podIP], conditions: { ready: true } }],
    });
    const ask = `const s = require("dgram").createSocket("udp4"); s.on("error", () => {}).on("message", (m) => { console.log(String(m)); process.exit() }); setInterval(() => s.send("hello", 53, process.env.ECHO_SERVICE_HOST), 100)`;
    bed.pod("asks", { restartPolicy: "Never", containers: [js(ask)] });
    await bed.until("asks", (pod) => pod["status"]?.phase === "Succeeded");
    expect(await bed.logs("asks")).toBe("echo hello\n");
    bed.store.remove("services", "default", "echo");
    await Promise.all([bed.remove("echo", 0), bed.remove("asks", 0)]);
  });
});
