// The name server's reading of questions and writing of answers.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readQuestion, recordOf, serviceOf, writeAnswer } from './cluster-dns.ts';

function question(name: string, type = 1): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

describe('serviceOf', () => {
  test.each([
    ['floe-hub.floe-system.svc', { service: 'floe-hub', namespace: 'floe-system' }],
    ['floe-hub.floe-system.svc.cluster.local', { service: 'floe-hub', namespace: 'floe-system' }],
    ['floe-hub.floe-system', undefined],
    ['a.b.svc.default.svc.cluster.local', undefined],
    ['example.org', undefined],
    ['', undefined],
  ])('%s', (name, expected) => {
    expect(serviceOf(name)).toEqual(expected);
  });
});

describe('readQuestion', () => {
  test('reads name and type, in lower case', () => {
    const message = question('Web.Default.svc', 28);
    expect(readQuestion(message)).toEqual({ id: 0x1234, name: 'web.default.svc', type: 28, end: message.length });
  });

  test('an answer is no question', () => {
    const message = question('web.default.svc');
    message[2] = 0x81;
    expect(readQuestion(message)).toBeUndefined();
  });

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const message = Buffer.from(bytes);
        const read = readQuestion(message);
        expect(read === undefined || read.end <= message.length).toBe(true);
      }),
    );
  });
});

describe('writeAnswer', () => {
  test.each([
    { what: 'an address', type: 1, addresses: ['10.96.3.4'], code: 0, count: 1 },
    { what: 'two addresses', type: 1, addresses: ['10.96.3.4', '10.96.3.5'], code: 0, count: 2 },
    { what: 'a name without an IPv6 address', type: 28, addresses: ['10.96.3.4'], code: 0, count: 0 },
    { what: 'a name that is not there', type: 1, addresses: undefined, code: 3, count: 0 },
  ])('$what', ({ type, addresses, code, count }) => {
    const message = question('web.default.svc', type);
    const read = readQuestion(message);
    if (!read) throw new Error('not read');
    const answer = writeAnswer(message, read, addresses);
    expect(answer.readUInt16BE(0)).toBe(0x1234);
    expect((answer[3] ?? 0) & 15).toBe(code);
    expect(answer.readUInt16BE(6)).toBe(count);
    expect(answer.length).toBe(message.length + count * 16);
    if (count > 0) expect([...answer.subarray(message.length + 12, message.length + 16)]).toEqual([10, 96, 3, 4]);
  });
});

describe('recordOf', () => {
  test('reads what is there now', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'floe-records-'));
    const file = join(folder, 'records.json');
    expect(recordOf(file, 'floe.example.com')).toBeUndefined();
    await writeFile(file, '{"floe.example.com": "10.96.3.4"}');
    expect(recordOf(file, 'floe.example.com')).toBe('10.96.3.4');
    expect(recordOf(file, 'toString')).toBeUndefined();
    await rm(folder, { recursive: true });
  });
});
