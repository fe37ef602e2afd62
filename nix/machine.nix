# The parts of services.floe-agent for the machine itself: its own health checks, its disk, its boot loader.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mapAttrs'
    mkDefault
    mkIf
    mkOption
    nameValuePair
    types
    ;
  cfg = config.services.floe-agent;
  isCheck = name: builtins.stringLength name <= 63 && builtins.match "[a-z0-9]([-a-z0-9_.]*[a-z0-9])?" name != null;
  badChecks = builtins.filter (name: !isCheck name) (lib.attrNames cfg.checks);
  oneOfTwo = check: (check.script == null) != (check.command == null);
  wrongChecks = lib.attrNames (lib.filterAttrs (_: check: !oneOfTwo check) cfg.checks);
  counts = config.boot.loader.systemd-boot.enable && (config.boot.loader.systemd-boot.bootCounting.enable or false);
in
{
  _class = "nixos";

  options.services.floe-agent = {
    checks = mkOption {
      default = { };
      example = literalExpression ''
        {
          database = {
            script = "''${pkgs.postgresql}/bin/pg_isready";
            timeout = 10;
          };
        }
      '';
      description = ''
        Health checks that this machine knows by name; a NixMachine picks them with
        `spec.activation.healthChecks[].named`. They run as root, on the new closure, before it is kept. Nobody sends
        commands to a machine: what is checked by a command stands here.
      '';
      type = types.attrsOf (
        types.submodule {
          options = {
            script = mkOption {
              type = types.nullOr types.lines;
              default = null;
              description = "A shell script that passes with exit code 0. Its last lines are shown in the NixMachine's status.";
            };
            command = mkOption {
              type = types.nullOr (types.nonEmptyListOf types.str);
              default = null;
              example = literalExpression ''[ "''${pkgs.curl}/bin/curl" "--fail" "http://localhost/" ]'';
              description = "A program and its arguments, in place of a script.";
            };
            timeout = mkOption {
              type = types.numbers.between 0.1 3600;
              default = 30;
              description = "Seconds after which one run, and everything that it started, is killed and counts as failed.";
            };
            path = mkOption {
              type = types.listOf types.package;
              default = [ ];
              example = literalExpression "[ pkgs.postgresql ]";
              description = "Packages whose programs the script may call by name, beside coreutils.";
            };
          };
        }
      );
    };

    reserveMiB = mkOption {
      type = types.ints.unsigned;
      default = 512;
      description = ''
        MiB that stay free in the Nix store when a closure is fetched. One that does not fit is not fetched: the machine
        says what is missing, and tries again.
      '';
    };

    generations = {
      keep = mkOption {
        type = types.nullOr (types.ints.between 1 1000);
        default = null;
        example = 20;
        description = ''
          The newest so many generations of the system profile stay when the agent keeps a new one; the others are
          removed, but for what runs, was booted, boots next or is the way back. With `null` here and in
          {option}`services.floe-agent.generations.maxAge` none is removed. A NixMachine's
          `spec.activation.generations` counts more.
        '';
      };
      maxAge = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 30;
        description = "Days for which a generation stays, however many there are; three stay in any case.";
      };
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = badChecks == [ ];
        message = ''services.floe-agent.checks: ${toString badChecks} can't be the name of a check; use lower-case letters, digits, "-", "_" and ".", at most 63.'';
      }
      {
        assertion = wrongChecks == [ ];
        message = "services.floe-agent.checks: ${toString wrongChecks}: set either script or command.";
      }
    ];

    environment.etc = mapAttrs' (
      name: check:
      nameValuePair "floe-agent/checks/${name}" {
        text = builtins.toJSON {
          command =
            if check.command != null then
              check.command
            else
              [
                "${pkgs.writeShellScript "floe-check-${name}" ''
                  export PATH=${lib.makeBinPath (check.path ++ [ pkgs.coreutils ])}
                  ${check.script}
                ''}"
              ];
          timeoutSeconds = check.timeout;
        };
      }
    ) (lib.filterAttrs (_: oneOfTwo) cfg.checks);

    services.floe-agent.settings = {
      reserveMiB = mkDefault cfg.reserveMiB;
      bootCounting = mkDefault counts;
    }
    // lib.optionalAttrs (cfg.generations.keep != null || cfg.generations.maxAge != null) {
      generations = mkDefault (
        lib.optionalAttrs (cfg.generations.keep != null) { inherit (cfg.generations) keep; }
        // lib.optionalAttrs (cfg.generations.maxAge != null) { maxAgeSeconds = cfg.generations.maxAge * 86400; }
      );
    };

    # With boot counting, a boot is called good by the agent: once no attempt is open. Until then the loader counts, and
    # a closure that does not come up, or whose agent does not, falls back by itself. Without the marker systemd's own
    # unit, which would call good whatever reaches boot-complete.target, is skipped; the agent starts it again.
    systemd.services.systemd-bless-boot = mkIf counts {
      unitConfig.ConditionPathExists = "/run/floe-agent/boot-good";
    };
  };
}
