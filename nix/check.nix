# Does the module hold in the NixOS of a given nixpkgs? Evaluates a configuration per case; nothing is built.
{
  nixpkgs,
  system ? "x86_64-linux",
  # Overlays on that nixpkgs, for a tree that lacks something.
  overlays ? [ ],
  # The cases to evaluate, by name; empty: all.
  only ? [ ],
}:
let
  lib = import (nixpkgs + "/lib");
  # Below the tree's default.nix, which refuses older Nix that evaluates all of this well.
  pkgs = import (nixpkgs + "/pkgs/top-level") {
    localSystem = lib.systems.elaborate system;
    config = { };
    inherit overlays;
  };
  flake = (import ../flake.nix).outputs {
    self = flake;
    nixpkgs = {
      inherit lib;
      legacyPackages.${system} = pkgs;
    };
  };

  # What any machine must say to be one.
  machine = {
    nixpkgs.pkgs = pkgs;
    networking.hostName = lib.mkDefault "web-01";
    system.stateVersion = lib.trivial.release;
    boot.loader.grub.enable = false;
    fileSystems."/" = {
      device = "/dev/vda1";
      fsType = "ext4";
    };
    documentation.enable = false;
  };
  evaluate =
    configuration:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit lib;
      system = null;
      modules = [
        machine
        flake.nixosModules.default
        configuration
      ];
    };

  key = "lab-floe-1:4ZRVJ0sKjFzOmJsQe2yq1cYeKHRVvbRRrzCjn8n5x1Q=";
  agent =
    more:
    {
      enable = true;
      hub = "https://floe.example.com:8443";
      trustedPublicKeys = [ key ];
    }
    // more;
  failed = config: map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  settingsOf = config: config.services.floe-agent.settings;
  unitOf = config: config.systemd.services.floe-agent;
  without = names: set: removeAttrs set names;

  # Per case: what is configured, and by name what must hold of the result.
  cases = {
    "off: nothing of it is there" = {
      configuration = { };
      holds = config: {
        unit = !(config.systemd.services ? floe-agent);
        etc = !(config.environment.etc ? "floe-agent.json");
      };
    };
    "the least that one must say" = {
      configuration.services.floe-agent = agent { };
      holds = config: {
        assertions = failed config == [ ];
        settings =
          settingsOf config == {
            hub = "https://floe.example.com:8443";
            namespace = "default";
            machine = "web-01";
            hostKeyFile = "/etc/ssh/ssh_host_ed25519_key";
            substituters = [ ];
            trustedPublicKeys = [ key ];
            usersGroup = "floe-users";
            secrets = { };
            reserveMiB = 512;
            bootCounting = false;
          };
        runs = lib.hasSuffix "/bin/floe-agent run --config /etc/floe-agent.json" (unitOf config).serviceConfig.ExecStart;
        survivesTheSwitch = !(unitOf config).restartIfChanged && !(unitOf config).stopIfChanged;
        neverGivenUp =
          (unitOf config).serviceConfig.Restart == "always" && (unitOf config).unitConfig.StartLimitIntervalSec == 0;
        neverWaitsForANetwork = !(builtins.elem "network-online.target" ((unitOf config).after ++ (unitOf config).wants));
        boots = builtins.elem "multi-user.target" (unitOf config).wantedBy;
        makesAKey = config.systemd.services ? floe-agent-host-key;
        beforeTheNetwork = !(builtins.elem "network.target" (unitOf config).after);
        noSecretsNoUnits = !(config.systemd.targets ? floe-secrets) && !(config.systemd.services ? floe-secrets);
        confined = (unitOf config).serviceConfig.ProtectKernelModules && (unitOf config).serviceConfig.LockPersonality;
        silent = !(lib.any (lib.hasInfix "services.floe-agent") config.warnings);
        trustsNobodyElse = !(builtins.elem key config.nix.settings.trusted-public-keys);
        system = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
      };
    };
    "with sshd, its key" = {
      configuration = {
        services.openssh.enable = true;
        services.openssh.hostKeys = [
          {
            type = "ed25519";
            path = "/persist/ssh/ssh_host_ed25519_key";
          }
        ];
        services.floe-agent = agent { };
      };
      holds = config: {
        assertions = failed config == [ ];
        key = (settingsOf config).hostKeyFile == "/persist/ssh/ssh_host_ed25519_key";
        firstOfTheTwo = builtins.elem "sshd-keygen.service" config.systemd.services.floe-agent-host-key.before;
        system = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
      };
    };
    "everything said" = {
      configuration.services.floe-agent = agent {
        caCertificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        namespace = "lab";
        machine = "lab-07";
        hostKeyFile = "/persist/key";
        generateHostKey = false;
        substituters = [ "http://cache.lan/lab" ];
        settings.namespace = "lab-2";
      };
      holds = config: {
        assertions = failed config == [ ];
        settings =
          without [ "caFile" ] (settingsOf config) == {
            hub = "https://floe.example.com:8443";
            namespace = "lab-2";
            machine = "lab-07";
            hostKeyFile = "/persist/key";
            substituters = [ "http://cache.lan/lab" ];
            trustedPublicKeys = [ key ];
            usersGroup = "floe-users";
            secrets = { };
            reserveMiB = 512;
            bootCounting = false;
          };
        ca = lib.hasPrefix builtins.storeDir (settingsOf config).caFile;
        keyIsLeftAlone = !(config.systemd.services ? floe-agent-host-key);
      };
    };
    "checks, disk and generations" = {
      configuration.services.floe-agent = agent {
        checks.database = {
          script = "pg_isready";
          timeout = 0.5;
          path = [ pkgs.hello ];
        };
        checks."web.front" = {
          command = [
            "/bin/x"
            "a b"
          ];
        };
        reserveMiB = 2048;
        generations.keep = 20;
        generations.maxAge = 30;
      };
      holds =
        config:
        let
          check = name: builtins.fromJSON (builtins.unsafeDiscardStringContext config.environment.etc."floe-agent/checks/${name}".text);
        in
        {
          assertions = failed config == [ ];
          script = lib.hasSuffix "floe-check-database" (lib.head (check "database").command);
          limit = (check "database").timeoutSeconds == 0.5;
          command =
            check "web.front" == {
              command = [
                "/bin/x"
                "a b"
              ];
              timeoutSeconds = 30;
            };
          settings =
            (settingsOf config).reserveMiB == 2048
            && (settingsOf config).generations == {
              keep = 20;
              maxAgeSeconds = 2592000;
            };
          system = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
        };
    };
    "a loader that counts is told by the agent which boot was good" = {
      configuration = {
        boot.loader.systemd-boot.enable = true;
        boot.loader.systemd-boot.bootCounting.enable = true;
        services.floe-agent = agent { };
      };
      holds = config: {
        assertions = failed config == [ ];
        settings = (settingsOf config).bootCounting;
        waits =
          lib.hasInfix "ConditionPathExists=/run/floe-agent/boot-good"
            config.systemd.units."systemd-bless-boot.service".text;
        # A drop-in for systemd's own unit, not one in its place.
        dropIn = config.systemd.units."systemd-bless-boot.service".overrideStrategy == "asDropinIfExists";
        system = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
      };
    };
    "one that does not count is left alone" = {
      configuration = {
        boot.loader.systemd-boot.enable = true;
        services.floe-agent = agent { };
      };
      holds = config: {
        settings = !(settingsOf config).bootCounting;
        untouched = !(config.systemd.services ? systemd-bless-boot);
      };
    };
    "people and secrets" = {
      configuration.services.floe-agent = agent {
        users.group = "desk";
        users.members = [ "ada" ];
        secretsTimeout = 20;
        secrets."tls.key" = {
          restartUnits = [ "nginx.service" ];
          reloadUnits = [ "haproxy.service" ];
          requiredBy = [ "app.service" ];
        };
        secrets.token = { };
      };
      holds =
        config:
        let
          target = config.systemd.targets.floe-secrets;
          wait = config.systemd.services.floe-secrets;
        in
        {
          assertions = failed config == [ ];
          group = config.users.groups.desk.members == [ "ada" ];
          settings = (settingsOf config).usersGroup == "desk";
          units =
            (settingsOf config).secrets == {
              "tls.key" = {
                restartUnits = [ "nginx.service" ];
                reloadUnits = [ "haproxy.service" ];
              };
              token = {
                restartUnits = [ ];
                reloadUnits = [ ];
              };
            };
          socket = (unitOf config).serviceConfig.RuntimeDirectory == "floe-agent";
          required = target.requiredBy == [ "app.service" ] && target.before == [ "app.service" ];
          startedLate = target.wants == [ "app.service" ];
          waits = target.requires == [ "floe-secrets.service" ] && target.after == [ "floe-secrets.service" ];
          bounded = wait.serviceConfig.TimeoutStartSec == 50 && lib.hasInfix "seq 20" wait.script;
          system = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
        };
    };
    "for root alone" = {
      configuration.services.floe-agent = agent { users.group = null; };
      holds = config: {
        assertions = failed config == [ ];
        noGroup = !(settingsOf config ? usersGroup) && !(config.users.groups ? floe-users);
      };
    };
    "without keys, those of Nix" = {
      configuration = {
        services.floe-agent = agent { trustedPublicKeys = [ ]; };
        nix.settings.trusted-public-keys = [ key ];
      };
      holds = config: {
        unset = !(settingsOf config ? trustedPublicKeys);
        noWarning = !(lib.any (lib.hasInfix "services.floe-agent") config.warnings);
      };
    };
    "without any key, a warning" = {
      configuration.services.floe-agent = agent { trustedPublicKeys = [ ]; };
      holds = config: {
        warning = lib.any (lib.hasInfix "services.floe-agent.trustedPublicKeys") config.warnings;
      };
    };
    "a root in memory" = {
      configuration = {
        fileSystems."/" = lib.mkForce {
          device = "tmpfs";
          fsType = "tmpfs";
        };
        services.floe-agent = agent { };
      };
      holds = config: {
        warning = lib.any (lib.hasInfix "/var/lib/floe-agent lies on the tmpfs of /") config.warnings;
      };
    };
    "a root in memory, and the state on a disk" = {
      configuration = {
        fileSystems."/" = lib.mkForce {
          device = "tmpfs";
          fsType = "tmpfs";
        };
        fileSystems."/var/lib" = {
          device = "/dev/vda2";
          fsType = "ext4";
        };
        services.floe-agent = agent { };
      };
      holds = config: { silent = !(lib.any (lib.hasInfix "/var/lib/floe-agent lies") config.warnings); };
    };
    "a root in memory, knowingly" = {
      configuration = {
        fileSystems."/" = lib.mkForce {
          device = "tmpfs";
          fsType = "tmpfs";
        };
        services.floe-agent = agent { allowVolatileState = true; };
      };
      holds = config: { silent = !(lib.any (lib.hasInfix "/var/lib/floe-agent lies") config.warnings); };
    };
    "sshd whose keys something else brings" = {
      configuration = {
        services.openssh.enable = true;
        services.openssh.generateHostKeys = false;
        services.floe-agent = agent { };
      };
      holds = config: { makesNoKey = !(config.systemd.services ? floe-agent-host-key); };
    };
    "a WireGuard key is a secret" = {
      configuration = {
        networking.wireguard.interfaces.wg0 = {
          ips = [ "10.0.0.2/24" ];
          privateKeyFile = "/run/floe-secrets/wg";
        };
        services.floe-agent = agent { secrets.wg.requiredBy = [ "wireguard-wg0.service" ]; };
      };
      # The unit is before network.target and after the secrets, those are after the agent: it must not be after that target.
      holds = config: {
        assertions = failed config == [ ];
        noCircle = !(builtins.elem "network.target" ((unitOf config).after ++ config.systemd.services.floe-secrets.after));
        waits = builtins.elem "wireguard-wg0.service" config.systemd.targets.floe-secrets.before;
      };
    };
    "in a container" = {
      configuration = {
        boot.isContainer = true;
        services.floe-agent = agent { };
      };
      holds = config: { assertions = failed config == [ ]; };
    };
  }
  // lib.mapAttrs
    (_: fault: {
      configuration = lib.recursiveUpdate { services.floe-agent = agent { }; } fault.configuration;
      holds = config: {
        assertion = lib.length (failed config) == 1 && lib.hasInfix fault.names (lib.head (failed config));
      };
    })
    {
      "wrong: a hub without TLS" = {
        configuration.services.floe-agent.hub = "http://floe.example.com";
        names = "services.floe-agent.hub";
      };
      "wrong: a hub with a path" = {
        configuration.services.floe-agent.hub = "https://floe.example.com/agent";
        names = "services.floe-agent.hub";
      };
      "wrong: a hub with a port that is none" = {
        configuration.services.floe-agent.hub = "https://x:84x3";
        names = "services.floe-agent.hub";
      };
      "wrong: a hub with a port that is too large" = {
        configuration.services.floe-agent.hub = "https://x:70000";
        names = "services.floe-agent.hub";
      };
      "wrong: a key of settings that the agent does not know" = {
        configuration.services.floe-agent.settings.reserveMib = 5;
        names = "there is no key reserveMib";
      };
      "wrong: settings, a path that is relative" = {
        configuration.services.floe-agent.settings.caFile = "ca.pem";
        names = "services.floe-agent.settings.caFile";
      };
      "wrong: settings, an amount that is text" = {
        configuration.services.floe-agent.settings.reserveMiB = "512";
        names = "services.floe-agent.settings.reserveMiB";
      };
      "wrong: settings, a hub that is no text" = {
        configuration.services.floe-agent.settings.hub = 5;
        names = "services.floe-agent.hub";
      };
      "wrong: settings, generations of another kind" = {
        configuration.services.floe-agent.settings.generations.days = 3;
        names = "services.floe-agent.settings.generations";
      };
      "wrong: a unit that the agent needs waits for secrets" = {
        configuration.services.floe-agent.secrets.x.requiredBy = [ "systemd-networkd.service" ];
        names = "systemd-networkd.service can't wait for secrets";
      };
      "wrong: a host name that no object may have" = {
        configuration.networking.hostName = "Web_01";
        names = "services.floe-agent.machine";
      };
      "wrong: a namespace" = {
        configuration.services.floe-agent.namespace = "Lab!";
        names = "services.floe-agent.namespace";
      };
      "wrong: two CAs" = {
        configuration.services.floe-agent = {
          caCertificate = "-----BEGIN CERTIFICATE-----";
          caCertificateFile = "/etc/ca.pem";
        };
        names = "caCertificateFile";
      };
      "wrong: a CA that is a file's name" = {
        configuration.services.floe-agent.caCertificate = "./ca.pem";
        names = "services.floe-agent.caCertificate";
      };
      "wrong: a private key in the store" = {
        configuration.services.floe-agent.hostKeyFile = "${builtins.storeDir}/abc-key";
        names = "services.floe-agent.hostKeyFile";
      };
      "wrong: a key that is none" = {
        configuration.services.floe-agent.trustedPublicKeys = [ "lab-floe-1" ];
        names = "services.floe-agent.trustedPublicKeys";
      };
      "wrong: a secret in a folder" = {
        configuration.services.floe-agent.secrets."../shadow" = { };
        names = "services.floe-agent.secrets";
      };
      "wrong: the name of a check" = {
        configuration.services.floe-agent.checks."../x".script = "true";
        names = "can't be the name of a check";
      };
      "wrong: a check of two kinds" = {
        configuration.services.floe-agent.checks.x = {
          script = "true";
          command = [ "true" ];
        };
        names = "set either script or command";
      };
      "wrong: a check of none" = {
        configuration.services.floe-agent.checks.x = { };
        names = "set either script or command";
      };
      "wrong: no Nix" = {
        configuration.nix.enable = false;
        names = "nix.enable";
      };
    };

  documented = lib.optionAttrSetToDocList (evaluate { }).options.services.floe-agent;
  undocumented = builtins.filter (one: (one.description or null) == null) documented;

  chosen = if only == [ ] then cases else lib.genAttrs only (name: cases.${name});
  results = lib.mapAttrs (_: one: lib.attrNames (lib.filterAttrs (_: ok: !ok) (one.holds (evaluate one.configuration).config))) chosen;
in
{
  nixos = lib.version;
  passed = lib.attrNames (lib.filterAttrs (_: broken: broken == [ ]) results);
  # By case, what does not hold.
  failed =
    lib.filterAttrs (_: broken: broken != [ ]) results
    // lib.optionalAttrs (undocumented != [ ]) { "options without a description" = map (one: one.name) undocumented; };
  package = lib.hasSuffix ".drv" flake.packages.${system}.floe-agent.drvPath;
  options = lib.length documented;
}
