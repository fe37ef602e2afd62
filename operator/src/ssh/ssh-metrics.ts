// The instruments of the courier.
import { Counter, Gauge, type Registry } from 'prom-client';

export type SshMetrics = {
  readonly visits: Counter<'result'>;
  readonly confirmations: Counter<'result'>;
};

const RESULTS = ['ok', 'unreachable', 'hostKey', 'login', 'key', 'refused', 'failed'] as const;

/** Registers the instruments of the courier; `visiting` is read when they are scraped. */
export function createSshMetrics(registry: Registry, visiting: () => number): SshMetrics {
  const registers = [registry];
  new Gauge({
    name: 'floe_ssh_visiting',
    help: 'Machines without an agent that are being visited.',
    registers,
    collect() {
      this.set(visiting());
    },
  });
  const visits = new Counter({
    name: 'floe_ssh_visits_total',
    help: 'Visits to machines without an agent, by result: ok, unreachable, hostKey (another key than in the spec), login, key (unusable private key), refused, failed.',
    labelNames: ['result'],
    registers,
  });
  for (const result of RESULTS) visits.inc({ result }, 0);
  const confirmations = new Counter({
    name: 'floe_ssh_confirmations_total',
    help: 'Confirmations of machines without an agent, by result: confirmed, denied, unanswered.',
    labelNames: ['result'],
    registers,
  });
  return { visits, confirmations };
}
