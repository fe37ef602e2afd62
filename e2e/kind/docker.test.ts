import { expect, test } from 'vitest';
import * as docker from './docker.ts';

test.each<{ name: string; command: readonly string[]; line: string }>([
  {
    name: 'a machine',
    command: docker.createMachine('m1', 'localhost/floe-machine:k'),
    line: 'docker create --name floe-demo-m1 --hostname m1 --label floe-demo=kind --network kind --privileged --cgroupns=private --tty --tmpfs /run --tmpfs /tmp localhost/floe-machine:k',
  },
  {
    name: 'a command with the store',
    command: docker.runInStore({ image: 'i', command: ['nix', 'build'], binds: { '/fleet': '/home/me/fleet' } }),
    line: 'docker run --rm --interactive --label floe-demo=kind --volume floe-demo-store:/nix --volume /home/me/fleet:/fleet i nix build',
  },
  {
    name: 'the git server',
    command: docker.runGitServer({ image: 'i', sources: '/s', program: '/p', user: '1000:1000' }),
    line: 'docker run --detach --name floe-demo-git --label floe-demo=kind --network kind --user 1000:1000 --volume /s:/sources:ro --volume /p:/bed:ro --entrypoint node i /bed/git-server-main.ts /sources 0.0.0.0 8418',
  },
  {
    name: 'the store',
    command: docker.createStore(),
    line: 'docker volume create --label floe-demo=kind floe-demo-store',
  },
  {
    name: 'an image',
    command: docker.buildImage('r', '/c'),
    line: 'docker build --label floe-demo=kind --tag r /c',
  },
  {
    name: 'an address',
    command: docker.addressOf(docker.NODE),
    line: 'docker inspect --format {{.NetworkSettings.Networks.kind.IPAddress}} floe-demo-control-plane',
  },
  {
    name: 'the cluster',
    command: docker.createCluster('/k'),
    line: 'kind create cluster --name floe-demo --kubeconfig /k --wait 3m',
  },
  { name: 'an image for it', command: docker.loadImage('r'), line: 'kind load docker-image r --name floe-demo' },
  {
    name: 'its end',
    command: docker.deleteCluster('/k'),
    line: 'kind delete cluster --name floe-demo --kubeconfig /k',
  },
])('$name', ({ command, line }) => {
  expect(command.join(' ')).toBe(line);
});

test('what is made is found again by its label', () => {
  const label = 'label=floe-demo=kind';
  expect(docker.LEFTOVERS.map(({ list, remove }) => [list[1], list.at(-1), remove[1]])).toEqual([
    ['ps', label, 'rm'],
    ['volume', label, 'volume'],
    ['images', label, 'rmi'],
  ]);
});
