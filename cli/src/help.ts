// The help of the command line as a whole.

export const HELP = `kubectl floe COMMAND: NixOS machines run by Kubernetes

  plan -f FILE|-          what a Rollout would do now, from manifests; touches nothing; --course: all that follows
  diff ROLLOUT            what it changes on its machines: packages, units, reboots, bytes
  get rollout NAME        how far it is; --watch: until it ends
  machine NAME            why it has not moved, what it runs
  approve ROLLOUT         answer the pause that it waits in
  approve machine/NAME    let that machine join
  retry ROLLOUT           order the machines that failed again
  retry machine/NAME      order that machine again, where its NixConfig has delivery Immediate
  continue ROLLOUT        accept the failures of the step and go on
  promote ROLLOUT         leave steps and pauses out: every machine may have it now
  urgent ROLLOUT          pass windows, freezes and consent
  abort ROLLOUT           order no further machine
  rollback ROLLOUT        take the machines back to the stable revision
  reconcile ROLLOUT       look again now
  reconcile nc/NAME       look at the source and the cache of that NixConfig now
  hold | unhold MACHINE   leave a machine alone, and end that
  token create            a join token for machines whose key is not known yet
  operator | cache | builder   the processes of Floe; each has --help

kubectl floe COMMAND --help says more; --version says which version this is. From a checkout, npx floe is the same.`;
