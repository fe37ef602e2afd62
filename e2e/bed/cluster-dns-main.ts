// Starts the cluster's name server: node cluster-dns-main.ts KUBECONFIG ADDRESS RECORDS
import { serveDns } from './cluster-dns.ts';

const [kubeconfig, address, records] = process.argv.slice(2);
if (kubeconfig === undefined || address === undefined || records === undefined) {
  throw new Error('usage: cluster-dns-main.ts KUBECONFIG ADDRESS RECORDS');
}
serveDns(kubeconfig, address, records);
