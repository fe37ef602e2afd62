// Shows a notification on the desktops of this machine: best effort, bounded, and never waited for longer than some seconds.
import type { Commander } from '../machine/command.ts';

const MAX_SESSIONS = 8;
const LIMIT_SECONDS = 10;
const GRAPHICAL: readonly string[] = ['x11', 'wayland', 'mir'];

/** Users with a graphical session, as logind knows them; `mayAnswer` says whose desktop is of interest. */
export async function desktopUsers(
  command: Commander,
  mayAnswer: (user: string) => boolean,
): Promise<readonly string[]> {
  const options = () => ({ signal: AbortSignal.timeout(LIMIT_SECONDS * 1000) });
  const listed = await command('loginctl', ['list-sessions', '--no-legend', '--no-pager'], options());
  const ids = listed.stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/, 1)[0] ?? '')
    .filter((id) => /^[A-Za-z0-9]+$/.test(id));
  const users = new Set<string>();
  for (const id of ids.slice(0, MAX_SESSIONS)) {
    const shown = await command('loginctl', ['show-session', id, '-p', 'Name', '-p', 'Type', '-p', 'State'], options());
    const values = new Map(shown.stdout.split('\n').map((line) => line.split('=', 2) as [string, string]));
    const name = values.get('Name') ?? '';
    const isOpen = GRAPHICAL.includes(values.get('Type') ?? '') && values.get('State') !== 'closing';
    if (isOpen && /^[a-z_][a-z0-9_.-]*$/.test(name) && mayAnswer(name)) users.add(name);
  }
  return [...users];
}

/** Notifies them through their own user manager. Rejects with what did not work, which no one needs to see but the log. */
export async function notifyDesktops(
  command: Commander,
  users: readonly string[],
  { title, body }: { title: string; body: string },
): Promise<void> {
  for (const user of users) {
    const unit = ['--user', `--machine=${user}@.host`, '--collect', '--quiet', '--no-ask-password'];
    const show = ['notify-send', '--app-name=Floe', '--urgency=normal', title, body];
    await command('systemd-run', [...unit, '--', ...show], { signal: AbortSignal.timeout(LIMIT_SECONDS * 1000) });
  }
}
