// Names of units of systemd, as health checks take them.

/** The characters that systemd.unit(5) allows in a name. */
const UNIT_NAME = /^[A-Za-z0-9:_.@\\-]+$/;

/** Whether a text names one unit. systemctl takes patterns too, and says nothing of one that matches no unit. */
export function isUnitName(text: string): boolean {
  return UNIT_NAME.test(text);
}
