// What a window may allow.

/** What machines may do in a window. */
export const WINDOW_ACTIONS = ['Download', 'Switch', 'Reboot'] as const;
export type WindowAction = (typeof WINDOW_ACTIONS)[number];

/** The actions of a window that names none. */
export const DEFAULT_WINDOW_ACTIONS: readonly WindowAction[] = ['Switch', 'Reboot'];
