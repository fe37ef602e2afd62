// The direction in which imports may go; docs/architecture.md says why.
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'crds-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^crds/' },
      to: { path: '^(operator|agent|cli|e2e)/' },
    },
    {
      name: 'agent-imports-crds-only',
      severity: 'error',
      from: { path: '^agent/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(operator|cli|e2e)/' },
    },
    {
      name: 'operator-takes-the-attempt-engine-only',
      comment:
        'Machines without an agent go by the same state machine: docs/decisions/032-machines-without-an-agent.md.',
      severity: 'error',
      from: { path: '^operator/', pathNot: '^operator/src/ssh/|\\.(test|fixture)\\.ts$' },
      to: { path: '^agent/' },
    },
    {
      name: 'ssh-takes-no-process-of-the-agent',
      severity: 'error',
      from: { path: '^operator/src/ssh/', pathNot: '\\.(test|fixture)\\.ts$' },
      to: {
        path: '^agent/src/',
        pathNot:
          '^agent/src/(attempt/|backoff|journal/journal|order|state|real-clock|machine/(broken-units|command|health|key-file|network|units)|store/substituters)',
      },
    },
    {
      name: 'kube-knows-no-nixos',
      comment: 'The machinery is generic; of crds it may take types alone.',
      severity: 'error',
      from: { path: '^operator/src/kube/', pathNot: '\\.test\\.ts$' },
      to: { path: '^operator/src/(config|machine|rollout|conditions|hub|ssh|cache|builder|nix)/' },
    },
    {
      name: 'kinds-never-import-each-other',
      severity: 'error',
      from: { path: '^operator/src/(config|machine|rollout)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^operator/src/(config|machine|rollout|hub|ssh|cache|builder)/', pathNot: '^operator/src/$1/' },
    },
    {
      name: 'conditions-are-pure',
      severity: 'error',
      from: { path: '^operator/src/conditions/', pathNot: '\\.test\\.ts$' },
      to: { path: '^operator/src/', pathNot: '^operator/src/conditions/' },
    },
    {
      name: 'ports-do-not-import-kinds',
      severity: 'error',
      from: { path: '^operator/src/(hub|ssh|cache|builder|nix)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^operator/src/(config|machine|rollout)/' },
    },
    {
      name: 'plan-is-pure',
      comment: 'plan.ts takes a snapshot and the time; it reaches no client, no process, no file.',
      severity: 'error',
      from: { path: '^operator/src/(config|machine|rollout)/plan\\.ts$' },
      to: {
        path: '^(node:)?(fs|net|http|https|child_process|timers)|^operator/src/kube/(client|connection|reflector|queue|controller|lease|events)',
      },
    },
    {
      name: 'only-tests-import-e2e',
      severity: 'error',
      from: { path: '^(operator|agent|cli|crds)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^e2e/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/|\\.d\\.ts$' },
    tsConfig: { fileName: 'tsconfig.json' },
    parser: 'swc',
    tsPreCompilationDeps: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node'] },
  },
};
