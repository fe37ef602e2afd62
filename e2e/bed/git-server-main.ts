// Starts the git server: node git-server-main.ts ROOT ADDRESS PORT
import { serveGit } from './git-server.ts';

const [root, address, port] = process.argv.slice(2);
if (root === undefined || address === undefined) throw new Error('usage: git-server-main.ts ROOT ADDRESS PORT');
serveGit(root, address, Number(port));
