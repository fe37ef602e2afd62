# The part of services.floe-agent for its state, which must outlive a boot.
{ config, lib, ... }:
let
  cfg = config.services.floe-agent;
  state = "/var/lib/floe-agent";
  # The mount that the state lies in: of all that lead to it the innermost.
  leads = point: point == "/" || point == state || lib.hasPrefix "${point}/" state;
  points = builtins.filter (fs: leads fs.mountPoint) (lib.attrValues config.fileSystems);
  innermost = lib.foldl' (
    best: fs: if best == null || builtins.stringLength fs.mountPoint > builtins.stringLength best.mountPoint then fs else best
  ) null points;
  inMemory = innermost != null && builtins.elem innermost.fsType [ "tmpfs" "ramfs" ];
in
{
  _class = "nixos";

  options.services.floe-agent.allowVolatileState = lib.mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    description = ''
      Say nothing where {file}`/var/lib/floe-agent` seems to lie in memory: because something that the module can't see
      keeps it, or because it may be lost. It holds the journal of the attempt that is open, the sequence of the newest
      order, the closures that failed here and the roots of the garbage collector. Where it is lost at each boot, an
      attempt that a power cut interrupted is not gone on with, and a closure that failed is tried again.
    '';
  };

  config = lib.mkIf cfg.enable {
    warnings = lib.optional (inMemory && !cfg.allowVolatileState) ''
      services.floe-agent: ${state} lies on the ${innermost.fsType} of ${innermost.mountPoint} and is lost at each boot: the
      journal, the closures that failed here, the roots of the garbage collector. Keep it on a disk, with
      fileSystems."${state}" or environment.persistence, from the installation on or by a restart (a mount that a switch
      brings would hide the journal of that very switch), or set services.floe-agent.allowVolatileState.
    '';
  };
}
