# From the options to the store paths of a system: etc, units, kernel, initrd, agent, and the toplevel that names them all.
{
  config,
  lib,
  pkgs,
  extendModules,
  ...
}:
let
  build = pkgs;
  inherit (builtins) concatStringsSep toJSON toString;
  cfg = config;
  agent = cfg.services.floe-agent;

  units = import ./units.nix { inherit lib build; } cfg.systemd.services;

  # Each etc file is a store path of its own, so that an unchanged one is not fetched again.
  etcSource =
    name: file:
    if file.source != null then
      file.source
    else
      build.writeText "etc-${builtins.replaceStrings [ "/" ] [ "-" ] name}" (if file.text == null then "" else file.text);
  etcFiles = lib.filterAttrs (_: file: file.enable) cfg.environment.etc;
  etc = build.runCommand "etc" { inherit units; } (
    ''
      mkdir -p "$out/systemd"
      ln -s "$units" "$out/systemd/system"
    ''
    + concatStringsSep "" (
      lib.mapAttrsToList (name: file: ''
        mkdir -p "$(dirname "$out/${name}")"
        ln -s "${etcSource name file}" "$out/${name}"
      '') etcFiles
    )
  );

  kernel = build.runCommand "linux-${cfg.boot.kernelVersion}" { } ''
    mkdir -p "$out"; echo "not a real kernel: ${cfg.boot.kernelVersion}" > "$out/bzImage"'';
  kernelModules = build.runCommand "kernel-modules-${cfg.boot.kernelVersion}" { } ''
    mkdir -p "$out/lib/modules/${cfg.boot.kernelVersion}"'';
  initrd = build.runCommand "initrd-linux-${cfg.boot.kernelVersion}" { inherit (cfg.boot.initrd) text; } ''
    mkdir -p "$out"; printf 'not a real initrd: %s\n' "$text" > "$out/initrd"'';

  # FLOE_AGENT_PROGRAM is what the rescue timer runs: this very path, kept by the closure that it goes back to. Node's
  # flags are those of nix/package.nix.
  agentPackage = build.runCommand "floe-agent" { program = "${agent.package}"; } ''
    mkdir -p "$out/bin"
    {
      echo '#!/bin/sh'
      echo "export FLOE_AGENT_PROGRAM=$out/bin/floe-agent"
      echo "exec /usr/local/bin/node --lite-mode --max-semi-space-size=1 --v8-pool-size=0 $program \"\$@\""
    } > "$out/bin/floe-agent"
    chmod +x "$out/bin/floe-agent"'';

  payload = build.runCommand "payload-${toString cfg.test.payloadMiB}" { inherit (cfg.test) marker; } ''
    mkdir -p "$out"; head -c ${toString (cfg.test.payloadMiB * 1048576)} /dev/urandom > "$out/data"'';

  switchToConfiguration = build.runCommand "switch-to-configuration" { } ''
    mkdir -p "$out/bin"
    cp ${../scripts/switch-to-configuration.sh} "$out/bin/switch-to-configuration"
    cp ${../scripts/units.sh} "$out/units.sh"
    cp ${../scripts/install-boot-loader.sh} "$out/bin/install-boot-loader"
    cp ${../scripts/activate.sh} "$out/activate"
    chmod +x "$out/bin/switch-to-configuration" "$out/bin/install-boot-loader" "$out/activate"'';

  # Snippets one after the other; one that fails is said, and does not keep the rest from running, as on NixOS.
  snippets =
    scripts:
    concatStringsSep "" (
      lib.mapAttrsToList (name: text: ''
        #### ${name}
        ( set -e
        ${text}
        ) || { echo "Activation script snippet '${name}' failed ($?)"; status=1; }
      '') scripts
    );
  checks = concatStringsSep "" (
    lib.mapAttrsToList (name: text: ''
      ( set -e
      ${text}
      ) || { echo "Pre-switch check '${name}' failed"; exit 1; }
    '') cfg.system.preSwitchChecks
  );
  inhibitors = cfg.system.switch.inhibitors;

  # A specialisation has none of its own.
  specialised =
    { configuration }:
    let
      whole = extendModules { modules = [ { specialisation = lib.mkForce { }; } configuration ]; };
    in
    whole.config.system.build.toplevel;
  specialisations = concatStringsSep "" (
    lib.mapAttrsToList (name: variant: "ln -s ${specialised variant} \"$out/specialisation/${name}\"\n") cfg.specialisation
  );

  toplevel =
    build.runCommand "nixos-system-${cfg.networking.hostName}-26.11test"
      {
        inherit
          etc
          kernel
          kernelModules
          initrd
          switchToConfiguration
          ;
        inherit (cfg.test) marker;
        initInterfaceVersion = "systemd ${toString cfg.test.initInterfaceVersion}";
        kernelParams = concatStringsSep " " cfg.boot.kernelParams;
        switchInhibitors = toJSON inhibitors;
        inhibitorLines = concatStringsSep "" (lib.mapAttrsToList (key: value: "${key}=${value}\n") inhibitors);
        activationSnippets = snippets cfg.system.activationScripts;
        preSwitchChecks = checks;
        bootLoaderFails = if cfg.test.bootLoaderFails then "1" else "";
        agentPath = lib.optionalString agent.enable "${agentPackage}";
        payloadPath = lib.optionalString (cfg.test.payloadMiB > 0) "${payload}";
        passAsFile = [
          "activationSnippets"
          "preSwitchChecks"
          "inhibitorLines"
        ];
      }
      ''
        ${lib.optionalString (cfg.test.buildSeconds > 0) "sleep ${toString cfg.test.buildSeconds}"}
        ${lib.optionalString cfg.test.buildFails "echo 'error: hello.c:12: undefined reference to greet' >&2; exit 1"}
        mkdir -p "$out/bin" "$out/specialisation" "$out/sw/bin"
        ln -s "$kernel/bzImage" "$out/kernel"
        ln -s "$initrd/initrd" "$out/initrd"
        ln -s "$kernelModules" "$out/kernel-modules"
        ln -s "$etc" "$out/etc"
        printf '%s' "$kernelParams" > "$out/kernel-params"
        printf '%s' "$initInterfaceVersion" > "$out/init-interface-version"
        printf '%s' 26.11test > "$out/nixos-version"
        printf '%s' ${build.system} > "$out/system"
        printf '%s' "$switchInhibitors" > "$out/switch-inhibitors"
        cp "$inhibitorLinesPath" "$out/switch-inhibitors.lines"
        cp "$activationSnippetsPath" "$out/activation-snippets"
        cp "$preSwitchChecksPath" "$out/pre-switch-checks"
        [ -z "$bootLoaderFails" ] || touch "$out/boot-loader-fails"
        [ -z "$agentPath" ] || ln -s "$agentPath/bin/floe-agent" "$out/sw/bin/floe-agent"
        [ -z "$payloadPath" ] || ln -s "$payloadPath" "$out/payload"
        ${specialisations}
        for file in activate bin/switch-to-configuration bin/install-boot-loader; do
          sed "s|@out@|$out|g; s|@program@|$switchToConfiguration|g" "$switchToConfiguration/$file" > "$out/$file"
          chmod +x "$out/$file"
        done
        printf '#!/bin/sh\nexec /sbin/floe-stage-2 "$@"\n' > "$out/init"; chmod +x "$out/init"
      '';
in
{
  config = lib.mkMerge [
    {
      system.build.toplevel =
        if cfg.test.evaluationError != null then throw cfg.test.evaluationError else toplevel;

      environment.etc.hostname.text = cfg.networking.hostName;
      environment.etc."nix/nix.conf".text = concatStringsSep "" (
        lib.mapAttrsToList (
          key: value:
          "${key} = ${
            if builtins.isList value then
              concatStringsSep " " (map toString value)
            else if builtins.isBool value then
              (if value then "true" else "false")
            else
              toString value
          }\n"
        ) cfg.nix.settings
      );
      nix.settings = {
        build-users-group = lib.mkDefault "";
        sandbox = lib.mkDefault false;
        experimental-features = lib.mkDefault "nix-command flakes";
        substituters = lib.mkDefault [ ];
        trusted-public-keys = lib.mkDefault agent.trustedPublicKeys;
        connect-timeout = lib.mkDefault 5;
      };
    }
    (lib.mkIf agent.enable {
      services.floe-agent.settings = {
        hub = lib.mkIf (agent.hub != null) (lib.mkDefault agent.hub);
        namespace = lib.mkDefault agent.namespace;
        machine = lib.mkDefault (if agent.machine == null then cfg.networking.hostName else agent.machine);
        hostKeyFile = lib.mkDefault agent.hostKeyFile;
        substituters = lib.mkDefault agent.substituters;
        caFile = lib.mkIf (agent.caCertificate != null) (
          lib.mkDefault "${build.writeText "floe-hub-ca.pem" agent.caCertificate}"
        );
        trustedPublicKeys = lib.mkIf (agent.trustedPublicKeys != [ ]) (lib.mkDefault agent.trustedPublicKeys);
      };
      environment.etc."floe-agent.json".text = toJSON agent.settings;
      systemd.services.floe-agent = {
        description = "Floe agent";
        # A switch must not stop the agent that started it. It hands over to the new closure's agent by itself.
        restartIfChanged = false;
        stopIfChanged = false;
        environment = {
          HOME = "/root";
          PATH = "/usr/bin:/usr/sbin:/bin:/sbin";
        };
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = {
          Type = "exec";
          ExecStart =
            if cfg.test.agentFails then "/bin/false" else "${agentPackage}/bin/floe-agent --config /etc/floe-agent.json run";
          Restart = "always";
          RestartSec = 2;
          RestartSteps = 6;
          RestartMaxDelaySec = 60;
          StateDirectory = "floe-agent";
          StateDirectoryMode = "0700";
          KillMode = "mixed";
          TimeoutStopSec = 30;
        }
        # As the module of the project confines it.
        // import ./agent-hardening.nix;
      };
    })
    (lib.mkIf cfg.services.hello.enable {
      systemd.services.hello = {
        description = "Says ${cfg.services.hello.greeting}";
        script = "echo ${cfg.services.hello.greeting}; exec sleep infinity";
      };
    })
    (lib.mkIf cfg.services.nginx.enable {
      systemd.services.nginx = {
        description = "Stands for a web server";
        script = "exec sleep infinity";
      };
    })
    (lib.mkIf cfg.test.logind {
      systemd.services.systemd-logind = {
        description = "User Login Management";
        restartIfChanged = false;
        serviceConfig = {
          Type = "notify";
          BusName = "org.freedesktop.login1";
          ExecStart = "/usr/lib/systemd/systemd-logind";
          Restart = "always";
          RestartSec = 0;
          RuntimeDirectory = "systemd/sessions systemd/seats systemd/users systemd/inhibit systemd/shutdown";
          RuntimeDirectoryPreserve = true;
        };
      };
    })
    (lib.mkIf cfg.test.activationFails {
      system.activationScripts.fails = "echo 'cannot do what was asked' >&2; exit 1";
    })
    (lib.mkIf (cfg.test.activationSeconds > 0) {
      system.activationScripts.takesTime = "sleep ${toString cfg.test.activationSeconds}";
    })
    (lib.mkIf cfg.test.unitFails {
      systemd.services.fails = {
        description = "Fails at once";
        serviceConfig.ExecStart = "/bin/false";
      };
    })
    (lib.mkIf (cfg.test.unitFailsAfterSeconds != null) {
      systemd.services.fails-later = {
        description = "Fails after a while";
        script = "sleep ${toString cfg.test.unitFailsAfterSeconds}; exit 1";
      };
    })
    (lib.mkIf (cfg.test.unitStartSeconds > 0) {
      systemd.services.slow = {
        description = "Takes its time to start";
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutStartSec = "infinity";
          ExecStart = "/bin/sleep ${toString cfg.test.unitStartSeconds}";
        };
      };
    })
  ];
}
