import { expect, test } from 'vitest';
import { lockFault } from './flake-lock.ts';

const conflict = '{\n<<<<<<< HEAD\n  "nodes": {},\n=======\n  "nodes": { },\n>>>>>>> main\n  "version": 7\n}\n';

test.each([
  ['a lock', '{"nodes": {}, "root": "root", "version": 7}', undefined],
  ['an unresolved merge', conflict, 'flake.lock is not JSON (line 2): it holds the marks of an unresolved merge'],
  ['half of a file', '{"nodes": ', 'flake.lock is not JSON'],
  ['nothing', '', 'flake.lock is not JSON'],
])('%s', (_what, text, message) => {
  expect(lockFault(text)?.message).toBe(message);
});
