// Which files are taken for certificates.
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCertificateFile } from './certificate-file.ts';

test('regular files up to 1 MiB, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-certificates-'));
  try {
    const file = join(folder, 'ca.pem');
    await writeFile(file, 'PEM');
    expect((await readCertificateFile(file, AbortSignal.timeout(1_000))).toString()).toBe('PEM');
    await truncate(file, 2 ** 20 + 1);
    await expect(readCertificateFile(file)).rejects.toThrow(`${file} has 1048577 bytes`);
    await expect(readCertificateFile('/dev/zero')).rejects.toThrow('/dev/zero is no regular file');
    await expect(readCertificateFile(folder)).rejects.toThrow('is no regular file');
    await expect(readCertificateFile(join(folder, 'none'))).rejects.toThrow('ENOENT');
  } finally {
    await rm(folder, { recursive: true });
  }
});
