// Numbers of users and groups by name, as /etc/passwd and /etc/group say.
import { readFile } from 'node:fs/promises';
import type { Paths } from '../paths.ts';

export type Accounts = {
  /** Number of a user, given by name or number; undefined where there is none. */
  user(name: string): number | undefined;
  group(name: string): number | undefined;
  /** Name of a group by its number. */
  groupName(id: number): string | undefined;
  /** Users that the group names as its members. */
  members(group: string): readonly string[];
};

type Line = readonly string[];

function lines(text: string): Line[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((line) => line.length >= 3);
}

function idOf(name: string, among: readonly Line[]): number | undefined {
  if (/^[0-9]+$/.test(name)) return Number(name);
  const id = Number(among.find(([one]) => one === name)?.[2] ?? Number.NaN);
  return Number.isInteger(id) ? id : undefined;
}

/** Parses the two files. */
export function parseAccounts(passwd: string, group: string): Accounts {
  const users = lines(passwd);
  const groups = lines(group);
  return {
    user: (name) => idOf(name, users),
    group: (name) => idOf(name, groups),
    groupName: (id) => groups.find((line) => Number(line[2]) === id)?.[0],
    members: (name) => (groups.find(([one]) => one === name)?.[3] ?? '').split(',').filter((one) => one !== ''),
  };
}

/** Reads them anew: a switch may have changed them. A missing file counts as empty. */
export async function readAccounts(paths: Paths): Promise<Accounts> {
  const read = (file: string) => readFile(paths.resolve(file), 'utf8').catch(() => '');
  return parseAccounts(await read('/etc/passwd'), await read('/etc/group'));
}
