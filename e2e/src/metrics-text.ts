// One number out of the operator's metrics, summed over its replicas.
import { type Installation, SYSTEM } from './installation.ts';
import { OperatorPods } from './operator-pods.ts';

/** The sum of all series of the metric whose labels contain `labels`, `reason="WrongKey"` for instance. */
export async function metric(floe: Installation, name: string, labels: string): Promise<number> {
  const pods = await new OperatorPods(floe).list();
  const texts = await Promise.all(
    pods.map((pod) => floe.cluster.request('GET', `/api/v1/namespaces/${SYSTEM}/pods/${pod.name}:9090/proxy/metrics`)),
  );
  const lines = texts.flatMap((text) => String(text).split('\n'));
  return lines
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
