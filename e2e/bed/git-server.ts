// A git server over HTTP in a cluster's network, so that pods fetch sources as they do from any host.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

/** Serves the repositories below `root`. One with a file `floe-credentials` (`user:password`) asks for them. */
export function serveGit(root: string, address: string, port: number): void {
  createServer((request, response) => answer(root, request, response)).listen(port, address);
}

function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://git');
  const repository = /^\/([a-z0-9-]+\.git)\//.exec(url.pathname)?.[1];
  if (repository === undefined || !existsSync(join(root, repository))) {
    response.writeHead(404).end('no such repository\n');
    return;
  }
  const secret = join(root, repository, 'floe-credentials');
  if (existsSync(secret)) {
    const wanted = `Basic ${Buffer.from(readFileSync(secret, 'utf8').trim()).toString('base64')}`;
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('credentials are missing or wrong\n');
      return;
    }
  }
  backend(root, request, response, url);
}

/** git's own CGI program does the rest. */
function backend(root: string, request: IncomingMessage, response: ServerResponse, url: URL): void {
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => {}); // it may end before it has read everything
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  let begun = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (begun) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    begun = true;
    let status = 200;
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2);
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
  });
  child.on('error', () => response.writeHead(500).end());
  child.on('close', () => response.end());
}
