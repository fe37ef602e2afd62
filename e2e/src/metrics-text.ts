// One number out of the operator's metrics, summed over its replicas.
import { type Installation, SYSTEM } from './installation.ts';

/** The sum of all series of the metric whose labels contain `labels`, `reason="WrongKey"` for instance. */
export async function metric(floe: Installation, name: string, labels: string): Promise<number> {
  const path = `/api/v1/namespaces/${SYSTEM}/pods`;
  const pods = await floe.cluster.items<{ metadata: { name: string } }>(
    `${path}?labelSelector=app.kubernetes.io/component=operator`,
  );
  const texts = await Promise.all(
    pods.map(({ metadata }) => floe.cluster.request('GET', `${path}/${metadata.name}:9090/proxy/metrics`)),
  );
  const lines = texts.flatMap((text) => String(text).split('\n'));
  return lines
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
