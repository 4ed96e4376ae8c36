const server = "require('http').createServer((q,s)=>{console.log(q.url);s.end('hello '+process.env.GREETING)}).listen(8080)";

/** A Deployment with a Service, its ConfigMap, and a scratch volume. */
export const WEB = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: world, file.txt: "one line\\n"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: node:24
        command: [node, -e, "${server}"]
        env:
        - name: GREETING
          valueFrom: {configMapKeyRef: {name: settings, key: greeting}}
        ports: [{name: http, containerPort: 8080}]
        volumeMounts: [{name: scratch, mountPath: /scratch}]
      volumes: [{name: scratch, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`;

export const POD = `
apiVersion: v1
kind: Pod
metadata: {name: solo, labels: {app: solo}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "node:24", command: [node, -e, "console.log('started');setInterval(()=>{},1000)"]}
`;

/** A StatefulSet of two with its headless Service. */
export const DATABASE = `
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{port: 5432}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: main, image: "node:24", command: [node, -e, "setInterval(()=>{},1000)"]}
`;
