// One number out of the operator's metrics, summed over its replicas.
import { type Installation, SYSTEM } from './installation.ts';

/** The sum of all series of the metric whose labels contain `labels`, `reason="WrongKey"` for instance. */
export async function metric(floe: Installation, name: string, labels: string): Promise<number> {
  const list = [
    'get',
    'pods',
    '-l',
    'app.kubernetes.io/component=operator',
    '-o',
    'jsonpath={.items[*].metadata.name}',
  ];
  const pods = (await floe.cluster.kubectl(['-n', SYSTEM, ...list])).trim().split(/\s+/);
  const texts = await Promise.all(
    pods.map((pod) =>
      floe.cluster.kubectl(['get', '--raw', `/api/v1/namespaces/${SYSTEM}/pods/${pod}:9090/proxy/metrics`]),
    ),
  );
  const lines = texts.flatMap((text) => text.split('\n'));
  return lines
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
