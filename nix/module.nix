# The NixOS module of Floe's agent: services.floe-agent.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkEnableOption
    mkIf
    mkOption
    optional
    types
    ;
  cfg = config.services.floe-agent;
  format = pkgs.formats.json { };
  stateKey = "/etc/ssh/ssh_host_ed25519_key";

  # Where sshd has an ed25519 key, that one: admins know it, sops-nix and agenix use it too.
  sshdKeys = builtins.filter (key: key.type == "ed25519") config.services.openssh.hostKeys;
  defaultKey = if sshdKeys == [ ] then stateKey else (builtins.head sshdKeys).path;

  # Where sshd must not make keys, something else brings them.
  makesKeys = !config.services.openssh.enable || (config.services.openssh.generateHostKeys or true);

  caFile =
    if cfg.caCertificate != null then
      pkgs.writeText "floe-hub-ca.pem" cfg.caCertificate
    else
      cfg.caCertificateFile;

  nixKeys = config.nix.settings.trusted-public-keys or [ ];
in
{
  _class = "nixos";

  imports = [
    ./machine.nix
    ./people.nix
    ./settings.nix
    ./state.nix
  ];

  options.services.floe-agent = {
    enable = mkEnableOption "the agent of Floe, which brings this machine to the system that its NixMachine in Kubernetes names";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = literalExpression "pkgs.callPackage ./package.nix { }";
      example = literalExpression "inputs.floe.packages.\${pkgs.stdenv.hostPlatform.system}.floe-agent";
      description = "The package of the agent.";
    };

    hub = mkOption {
      type = types.str;
      example = "https://floe.example.com:8443";
      description = ''
        Address of Floe's hub: `https://`, its host and its port. The machine dials it; nothing dials the machine.
      '';
    };

    caCertificate = mkOption {
      type = types.nullOr types.lines;
      default = null;
      example = literalExpression "builtins.readFile ./floe-hub-ca.pem";
      description = ''
        Certificate (PEM) of the CA that signed the hub's certificate, as the chart publishes it:
        `kubectl -n floe-system get configmap floe-hub-ca -o jsonpath='{.data.ca\.crt}'`.
        Without it and without {option}`services.floe-agent.caCertificateFile` the system's CAs count.
      '';
    };

    caCertificateFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/etc/floe/hub-ca.pem";
      description = "A file on the machine with that certificate, in place of {option}`services.floe-agent.caCertificate`.";
    };

    namespace = mkOption {
      type = types.str;
      default = "default";
      example = "lab";
      description = "Namespace of the machine's NixMachine in Kubernetes.";
    };

    machine = mkOption {
      type = types.str;
      default = config.networking.hostName;
      defaultText = literalExpression "config.networking.hostName";
      example = "web-01";
      description = "Name of the machine's NixMachine.";
    };

    hostKeyFile = mkOption {
      type = types.str;
      default = defaultKey;
      defaultText = literalExpression ''the ed25519 key of services.openssh.hostKeys, else "${stateKey}"'';
      example = "/persist/etc/ssh/ssh_host_ed25519_key";
      description = ''
        Private ed25519 SSH host key of the machine, in OpenSSH's format and without a passphrase. Who holds it is this
        machine; its public half stands in the NixMachine's `spec.identity.sshHostKey`.
      '';
    };

    generateHostKey = mkOption {
      type = types.bool;
      default = makesKeys;
      defaultText = literalExpression "false where services.openssh is enabled and its generateHostKeys is false, else true";
      example = false;
      description = ''
        Make the host key at boot where there is none, with or without sshd. Turn it off where something else puts the
        key into place later in the boot.
      '';
    };

    joinTokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/keys/floe-join";
      description = ''
        File on the machine with a join token (`kubectl floe token create`), for a machine whose NixMachine has no
        `spec.identity` yet: its key becomes visible there, and a person approves it. The token lets nobody in by itself,
        and the file may be removed once the machine is connected.
      '';
    };

    trustedPublicKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "lab-floe-1:4ZRVJ0sKjFzOmJsQe2yq1cYeKHRVvbRRrzCjn8n5x1Q=" ];
      description = ''
        Public keys that every path of a closure must be signed by before the agent activates it; the NixConfig shows the
        namespace's one in `status.cache.publicKey`. With an empty list the keys of
        {option}`nix.settings.trusted-public-keys` count. With a list those don't, and Nix itself trusts nobody more than before.
      '';
    };

    substituters = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "http://cache.lan:8080/lab" ];
      description = "Caches that the agent fetches from, beside those that the hub names: a mirror nearby, for instance.";
    };

    settings = mkOption {
      type = types.submodule { freeformType = format.type; };
      default = { };
      example = {
        machine = "web-01";
      };
      description = ''
        Content of {file}`/etc/floe-agent.json`. The other options fill it; what stands here counts more. A key that the
        agent does not know, or a value that it would refuse, fails the evaluation.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.caCertificate == null || cfg.caCertificateFile == null;
        message = "services.floe-agent: caCertificate and caCertificateFile are both set; leave one of them out.";
      }
      {
        assertion = cfg.caCertificate == null || lib.hasInfix "-----BEGIN CERTIFICATE-----" cfg.caCertificate;
        message = "services.floe-agent.caCertificate: it holds no PEM certificate; give the text itself, with builtins.readFile for instance.";
      }
      {
        assertion = config.nix.enable;
        message = "services.floe-agent: the agent fetches with Nix; set nix.enable = true.";
      }
      {
        assertion = config.system.switch.enable or true;
        message = "services.floe-agent: the agent switches systems; set system.switch.enable = true.";
      }
    ];

    warnings =
      optional (cfg.trustedPublicKeys == [ ] && builtins.all (lib.hasPrefix "cache.nixos.org-1:") nixKeys)
        ''
          services.floe-agent.trustedPublicKeys is empty and nix.settings.trusted-public-keys has no key of Floe: the
          agent will refuse every closure that Floe built. Add the key that the NixConfig shows in status.cache.publicKey.
        ''
      ++ optional config.system.autoUpgrade.enable ''
        services.floe-agent and system.autoUpgrade both change the system of this machine; turn one of them off.
      '';

    services.floe-agent.settings = {
      hub = mkDefault cfg.hub;
      namespace = mkDefault cfg.namespace;
      machine = mkDefault cfg.machine;
      hostKeyFile = mkDefault cfg.hostKeyFile;
      substituters = mkDefault cfg.substituters;
    }
    // lib.optionalAttrs (caFile != null) { caFile = mkDefault "${caFile}"; }
    // lib.optionalAttrs (cfg.joinTokenFile != null) { joinTokenFile = mkDefault cfg.joinTokenFile; }
    // lib.optionalAttrs (cfg.trustedPublicKeys != [ ]) { trustedPublicKeys = mkDefault cfg.trustedPublicKeys; };

    environment.etc."floe-agent.json".source = format.generate "floe-agent.json" cfg.settings;
    # For a person at the machine: floe-agent apply.
    environment.systemPackages = [ cfg.package ];

    systemd.services.floe-agent = {
      description = "Floe agent";
      wantedBy = [ "multi-user.target" ];
      # It dials again and again by itself. Waiting for a network here would hold up the boot of a machine without one,
      # and an attempt that a power cut interrupted must be gone on with offline, too. Nor is it after network.target:
      # units before that one, WireGuard's for instance, may need secrets that the agent brings.
      after = [
        "nix-daemon.socket"
        "floe-agent-host-key.service"
      ];
      wants = optional cfg.generateHostKey "floe-agent-host-key.service";

      # A switch must not stop the agent that started it. It hands over to the new closure's agent by itself.
      restartIfChanged = false;
      stopIfChanged = false;

      path = [
        config.nix.package
        config.systemd.package
        pkgs.coreutils
        # Gives memory back to the kernel while the agent waits; most systems have it anyway.
        pkgs.perl
      ];
      # HTTPS_PROXY, ALL_PROXY and NO_PROXY of networking.proxy; the agent dials its hub through them.
      environment = config.networking.proxy.envVars // {
        HOME = "/root";
        # A public CA, or one of security.pki; caFile counts alone where it is set.
        NODE_EXTRA_CA_CERTS = "/etc/ssl/certs/ca-certificates.crt";
      };

      # Never given up: a machine without its agent is lost to the fleet.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        Type = "exec";
        ExecStart = "${lib.getExe cfg.package} run --config /etc/floe-agent.json";
        Restart = "always";
        RestartSec = 2;
        RestartSteps = 6;
        RestartMaxDelaySec = 60;
        StateDirectory = "floe-agent";
        StateDirectoryMode = "0700";
        # The switch runs in a unit of its own. What runs here, a download, is told to stop and then ended.
        KillMode = "mixed";
        TimeoutStopSec = 30;
        # When memory is short, it is the one who can bring back a system that needs less.
        OOMScoreAdjust = -500;
      }
      // import ./hardening.nix;
    };

    systemd.services.floe-agent-host-key = mkIf cfg.generateHostKey {
      description = "SSH host key for the Floe agent";
      # Before sshd's own, which then finds it: only one of them makes it.
      before = [
        "sshd-keygen.service"
        "sshd.service"
        "floe-agent.service"
      ];
      unitConfig.ConditionFileNotEmpty = "!${cfg.settings.hostKeyFile}";
      path = [ config.programs.ssh.package ];
      serviceConfig = {
        Type = "oneshot";
        UMask = "0077";
      };
      script = ''
        mkdir -p -m 0755 "$(dirname ${lib.escapeShellArg cfg.settings.hostKeyFile})"
        rm -f ${lib.escapeShellArg cfg.settings.hostKeyFile}
        ssh-keygen -q -t ed25519 -N "" -C "root@${config.networking.hostName}" -f ${lib.escapeShellArg cfg.settings.hostKeyFile}
      '';
    };
  };

}
