// Starts the cluster's name server: node cluster-dns-main.ts KUBECONFIG ADDRESS
import { serveDns } from './cluster-dns.ts';

const [kubeconfig, address] = process.argv.slice(2);
if (kubeconfig === undefined || address === undefined) throw new Error('usage: cluster-dns-main.ts KUBECONFIG ADDRESS');
serveDns(kubeconfig, address);
