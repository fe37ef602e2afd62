import { expect, test } from 'vitest';
import { machine } from '../conditions/machine.fixture.ts';
import type { RefusalReason } from './admission.ts';
import { refusalSubject } from './refusal-subject.ts';

const made = (uid: string) => ({ ...machine(), metadata: { ...machine().metadata, uid } });
const subject = (reason: RefusalReason, message: string, uid = 'a') => refusalSubject(made(uid), { reason, message });

test.each<[string, string, string, boolean]>([
  ['the same again', subject('WrongKey', 'x'), subject('WrongKey', 'x'), true],
  ['another reason', subject('WrongKey', 'x'), subject('NoIdentity', 'x'), false],
  ['an object made anew', subject('WrongKey', 'x'), subject('WrongKey', 'x', 'b'), false],
  ['another text that a stranger chose', subject('WrongHost', 'for a'), subject('WrongHost', 'for b'), true],
  ['another token', subject('BadToken', 'expired'), subject('BadToken', 'used up'), false],
  ['another key', subject('PendingApproval', 'key a'), subject('PendingApproval', 'key b'), false],
])('%s', (_, one, other, same) => {
  expect(one === other).toBe(same);
});
