# What the agent's process may not do. What it starts by systemd-run (a switch, the way back, a notification on a desktop) runs
# in units of its own and is not bound by it; health checks of the machine (services.floe-agent.checks) are its children, and
# must see the machine as root does. So there is no private /tmp, no hidden device, /proc, /sys or log, and sudo works.
{
  LockPersonality = true;
  ProtectClock = true;
  # ProtectClock closes all devices but the clock's, and a check may read a disk or a GPU.
  DeviceAllow = [
    "char-* rwm"
    "block-* rwm"
  ];
  ProtectKernelModules = true;
  RestrictRealtime = true;
  KeyringMode = "private";
}
