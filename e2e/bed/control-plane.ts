// The programs of a one-node cluster, with their arguments. Addresses are the same in every cluster: each has a network of its own.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artefacts } from './artefacts.ts';
import { recipe } from './paths.ts';

export const nodeAddress = '10.250.0.1';
/** Inside the cluster's mount namespace. */
export const containerdSocket = '/run/containerd/containerd.sock';

export type ProgramName =
  | 'etcd'
  | 'containerd'
  | 'apiserver'
  | 'controller-manager'
  | 'scheduler'
  | 'proxy'
  | 'dns'
  | 'kubelet';

export interface ControlPlaneOptions {
  readonly dir: string;
  readonly cgroup: string;
  readonly made: Artefacts;
  /** More flags of kube-apiserver. */
  readonly apiServerFlags?: readonly string[];
}

/** Records that the cluster's name server has beside the names of Services; in the cluster's folder. */
export const RECORDS_FILE = 'records.json';

/** Before a Go program's command: it collects its garbage when the heap has grown fivefold, for memory is there and processor time is not. */
export const COLLECTS_LATE: readonly string[] = ['env', 'GOGC=400'];

/** Each program's command line. */
export function commands(options: ControlPlaneOptions): Readonly<Record<ProgramName, readonly string[]>> {
  const { dir, made } = options;
  const pki = (file: string): string => join(made.pki, file);
  const program = (name: string): string => join(made.kubernetes, name);
  return {
    etcd: [
      'etcd',
      `--data-dir=${join(dir, 'etcd')}`,
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--unsafe-no-fsync',
      '--quota-backend-bytes=4294967296',
    ],
    containerd: ['containerd', '-c', join(dir, 'containerd.toml')],
    apiserver: [
      program('kube-apiserver'),
      '--etcd-servers=http://127.0.0.1:2379',
      '--secure-port=6443',
      '--bind-address=0.0.0.0',
      `--advertise-address=${nodeAddress}`,
      `--client-ca-file=${pki('ca.crt')}`,
      `--tls-cert-file=${pki('apiserver.crt')}`,
      `--tls-private-key-file=${pki('apiserver.key')}`,
      `--service-account-key-file=${pki('service-accounts.pub')}`,
      `--service-account-signing-key-file=${pki('service-accounts.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      `--kubelet-client-certificate=${pki('admin.crt')}`,
      `--kubelet-client-key=${pki('admin.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      // What no one here uses is not served: a third less processor time for its start, a quarter less at rest.
      '--runtime-config=api/beta=false,api/alpha=false,discovery.k8s.io/v1beta1=true,policy/v1beta1=true',
      '--enable-priority-and-fairness=false',
      '--profiling=false',
      ...(options.apiServerFlags ?? []),
    ],
    'controller-manager': [
      program('kube-controller-manager'),
      `--kubeconfig=${pki('controller-manager.kubeconfig')}`,
      `--service-account-private-key-file=${pki('service-accounts.key')}`,
      `--root-ca-file=${pki('ca.crt')}`,
      `--cluster-signing-cert-file=${pki('ca.crt')}`,
      `--cluster-signing-key-file=${pki('ca.key')}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      // The CNI configuration fixes the pods' network; the controller for it alone would cost 10 s at the start.
      '--controllers=*,-nodeipam,-attachdetach,-horizontalpodautoscaling,-persistentvolume-expander,-csrsigning,-csrapproving,-csrcleaner,-cronjob,-daemonset,-statefulset,-replicationcontroller,-ttl',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ],
    scheduler: [program('kube-scheduler'), `--kubeconfig=${pki('scheduler.kubeconfig')}`, '--leader-elect=false'],
    proxy: [
      program('kube-proxy'),
      `--kubeconfig=${pki('admin.kubeconfig')}`,
      '--proxy-mode=iptables',
      '--cluster-cidr=10.244.0.0/16',
      '--hostname-override=local',
      '--iptables-min-sync-period=100ms',
      '--conntrack-max-per-core=0',
      '--conntrack-tcp-timeout-established=0s',
      '--conntrack-tcp-timeout-close-wait=0s',
    ],
    dns: [
      process.execPath,
      recipe('bed', 'cluster-dns-main.ts'),
      pki('admin.kubeconfig'),
      nodeAddress,
      join(dir, RECORDS_FILE),
    ],
    kubelet: [
      program('kubelet'),
      `--config=${join(dir, 'kubelet.yaml')}`,
      `--kubeconfig=${pki('kubelet.kubeconfig')}`,
      '--hostname-override=local',
      `--node-ip=${nodeAddress}`,
      '--container-runtime=remote',
      // Between two looks of cAdvisor at each container; by default 10 s.
      '--housekeeping-interval=2m',
      `--container-runtime-endpoint=unix://${containerdSocket}`,
    ],
  };
}

/** The image of each pod's first container. */
export const pauseImage = 'localhost/pause:1';

/** Writes the files that those command lines name. */
export async function writeConfiguration(options: ControlPlaneOptions): Promise<void> {
  const { dir, made } = options;
  await mkdir(join(dir, 'cni-config'), { recursive: true });
  await writeFile(
    join(dir, 'containerd.toml'),
    `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Without CAP_SYS_RESOURCE a negative oom_score_adj cannot be set, and runc says only "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(dir, 'cni-config')}"
`,
  );
  await writeFile(
    join(dir, 'cni-config', '10-pods.conflist'),
    JSON.stringify({
      cniVersion: '0.4.0',
      name: 'pods',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          ipMasq: true,
          hairpinMode: true,
          ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    }),
  );
  await writeFile(
    join(dir, 'kubelet.yaml'),
    JSON.stringify({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${options.cgroup}`,
      enforceNodeAllocatable: [],
      failSwapOn: false,
      nodeStatusUpdateFrequency: '3s', // how soon a node is ready; it writes only changes
      nodeStatusReportFrequency: '5m',
      clusterDNS: [nodeAddress],
      clusterDomain: 'cluster.local',
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: join(made.pki, 'ca.crt') },
      },
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      // Images are loaded by hand: what is removed here could not be pulled again.
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      syncFrequency: '10s',
      // No one here asks how much a pod has written, and `du` over all of them is dear.
      volumeStatsAggPeriod: '0s',
    }),
  );
}
