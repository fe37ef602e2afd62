// What is read out of a README, and that nothing of it is passed over.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectDir } from '../bed/paths.ts';
import { Readme } from './readme.ts';

const TEXT = `# Title

\`\`\`console
$ shown and not typed
\`\`\`

## Install

\`\`\`sh
# A comment.
npm run build   # another
helm install x \\
  --set a=b

cat > kind.yaml <<'EOF'
# not a comment
kind: Cluster
EOF
npm run build
\`\`\`

\`\`\`yaml
# values.yaml
a: 1
\`\`\`
`;

test('commands are whole, in order, and taken once', () => {
  const readme = new Readme(TEXT);
  expect(readme.command(/^helm/)).toBe('helm install x \\\n  --set a=b');
  expect(readme.command(/npm run build/)).toBe('npm run build   # another');
  expect(readme.command(/npm run build/)).toBe('npm run build');
  expect(() => readme.command(/npm run build/)).toThrow('no command');
  expect(readme.command(/^cat/)).toBe("cat > kind.yaml <<'EOF'\n# not a comment\nkind: Cluster\nEOF");
  expect(readme.file('values.yaml')).toBe('# values.yaml\na: 1\n');
  expect(readme.left).toEqual([]);
});

test('what is neither taken nor replaced is left, and what is replaced is named', () => {
  const readme = new Readme(TEXT);
  readme.instead(/^helm install/, 'by hand');
  expect(readme.left).toHaveLength(4);
  expect(readme.left[0]).toBe('Install: npm run build   # another');
  readme.insteadOfRest('Install', 'not here');
  expect(readme.left).toEqual([]);
  expect(readme.replaced[0]).toBe('helm install x \\\n  --set a=b: by hand');
  expect(() => readme.insteadOfRest('Install', 'twice')).toThrow('nothing left');
});

test.each([
  ['```sh\nnpm run build', 'has no end'],
  ["```sh\ncat <<'EOF'\nx\n```", 'a command has no end'],
  ['```yaml\na: 1\n```', "begins with # and its file's name"],
])('a text that can not be read: %j', (text, problem) => {
  expect(() => new Readme(text)).toThrow(problem);
});

test("the project's own README is read", async () => {
  const readme = new Readme(await readFile(join(projectDir, 'README.md'), 'utf8'));
  expect(readme.left.length).toBeGreaterThan(30);
});
