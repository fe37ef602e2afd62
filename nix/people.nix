# The parts of services.floe-agent for the people at a machine and for its secrets.
{
  config,
  lib,
  ...
}:
let
  inherit (lib)
    concatMap
    mapAttrs
    mkDefault
    mkIf
    mkOption
    types
    unique
    ;
  cfg = config.services.floe-agent;
  unitName = types.strMatching "[A-Za-z0-9:_.@\\-]+\\.[a-z]+";
  units =
    description:
    mkOption {
      type = types.listOf unitName;
      default = [ ];
      example = [ "nginx.service" ];
      inherit description;
    };
  needy = unique (concatMap (secret: secret.requiredBy) (lib.attrValues cfg.secrets));
  # Units that the agent needs before it can bring anything: systemd would break the circle by dropping one of them.
  firstUnits = [
    "floe-agent.service"
    "floe-agent-host-key.service"
    "nix-daemon.socket"
    "sysinit.target"
    "basic.target"
    "local-fs.target"
    "systemd-networkd.service"
    "systemd-resolved.service"
    "NetworkManager.service"
    "dhcpcd.service"
  ];
  isEarly =
    unit:
    let
      service = config.systemd.services.${lib.removeSuffix ".service" unit} or { };
      defaults = service.unitConfig.DefaultDependencies or true;
    in
    builtins.elem unit firstUnits
    || lib.hasSuffix ".service" unit
      && (
        builtins.elem defaults [
          false
          "no"
          "false"
        ]
        || builtins.any (before: builtins.elem before [ "sysinit.target" "basic.target" ]) (service.before or [ ])
      );
  tooEarly = builtins.filter isEarly needy;
  isFile = name: builtins.stringLength name <= 100 && builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]*" name != null;
in
{
  _class = "nixos";

  options.services.floe-agent = {
    users.group = mkOption {
      type = types.nullOr types.str;
      default = "floe-users";
      example = "wheel";
      description = ''
        Group whose members may say `floe-agent status`, `approve`, `defer` and `rollback`, and are shown a notification
        when a change waits for their yes (`spec.activation.consent: Ask`). It is made where it is not there; with
        `null` only root may.
      '';
    };

    users.members = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ada" ];
      description = "Users that are put into {option}`services.floe-agent.users.group`.";
    };

    secrets = mkOption {
      default = { };
      example = {
        "tls.key".restartUnits = [ "nginx.service" ];
      };
      description = ''
        What follows on this machine when a file below {file}`/run/floe-secrets` gets new content. Which files there are
        stands in the NixMachine (`spec.secrets`).
      '';
      type = types.attrsOf (
        types.submodule {
          options = {
            restartUnits = units "Units that are restarted, if they run, when the content has changed.";
            reloadUnits = units "Units that are reloaded, if they run, when the content has changed; those that can't be are restarted.";
            requiredBy = units ''
              Units that do not start before all secrets of this machine are there. Where these come too late, the units
              fail with {file}`floe-secrets.target`, and start by themselves when the secrets have come.
            '';
          };
        }
      );
    };

    secretsTimeout = mkOption {
      type = types.ints.between 1 3600;
      default = 90;
      description = ''
        Seconds for which {file}`floe-secrets.target` waits for the secrets of this machine. They are never on a disk, so
        after each boot they come anew from the hub, and without a network they don't.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = builtins.all isFile (lib.attrNames cfg.secrets);
        message = ''services.floe-agent.secrets: ${toString (builtins.filter (name: !isFile name) (lib.attrNames cfg.secrets))} can't be the name of a file below /run/floe-secrets; write it as spec.secrets of the NixMachine does.'';
      }
      {
        assertion = tooEarly == [ ];
        message = ''services.floe-agent.secrets: ${toString tooEarly} can't wait for secrets (requiredBy), since the agent that brings them starts after it or needs it to reach the hub; let the units that use the secret wait instead.'';
      }
    ];

    services.floe-agent.settings = {
      secrets = mkDefault (mapAttrs (_: secret: { inherit (secret) restartUnits reloadUnits; }) cfg.secrets);
    }
    // lib.optionalAttrs (cfg.users.group != null) { usersGroup = mkDefault cfg.users.group; };

    users.groups = mkIf (cfg.users.group != null) { ${cfg.users.group} = { inherit (cfg.users) members; }; };

    # The socket's folder; it outlives the agent, which makes the socket anew.
    systemd.services.floe-agent.serviceConfig = {
      RuntimeDirectory = "floe-agent";
      RuntimeDirectoryMode = "0755";
      RuntimeDirectoryPreserve = "yes";
    };

    # Reached when all secrets of this machine are there; only where secrets are named here. Units name it with requires and
    # after, or are named by services.floe-agent.secrets.<name>.requiredBy. The agent starts it, too, when the secrets have
    # come late.
    systemd.targets.floe-secrets = mkIf (cfg.secrets != { }) {
      description = "Secrets of this machine, delivered by Floe";
      requires = [ "floe-secrets.service" ];
      after = [ "floe-secrets.service" ];
      before = needy;
      requiredBy = needy;
      wants = needy;
    };

    systemd.services.floe-secrets = mkIf (cfg.secrets != { }) {
      description = "Wait for the secrets that Floe delivers";
      wants = [ "floe-agent.service" ];
      after = [ "floe-agent.service" ];
      # What was delivered stays; a switch has nothing to wait for.
      restartIfChanged = false;
      stopIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        TimeoutStartSec = cfg.secretsTimeout + 30;
      };
      script = ''
        for _ in $(seq ${toString cfg.secretsTimeout}); do
          if [ -e /run/floe-secrets/.complete ]; then exit 0; fi
          sleep 1
        done
        echo "the secrets of this machine were not delivered within ${toString cfg.secretsTimeout} s; see journalctl -u floe-agent here, and status.secrets of the NixMachine. When they have come, floe-secrets.target is started by itself." >&2
        exit 1
      '';
    };
  };
}
