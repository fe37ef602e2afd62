# The options that a machine of the test bed has. Names are NixOS' own where NixOS has them; `test.*` injects failures.
{ lib }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  required = type: mkOption { inherit type; };
in
{
  networking.hostName = required types.str;

  environment.etc = option (types.attrsOf (
    types.submodule {
      enable = option types.bool true;
      text = option (types.nullOr types.lines) null;
      source = option (types.nullOr types.path) null;
    }
  )) { };

  nix.settings = option (types.attrsOf types.anything) { };

  systemd.services = option (types.attrsOf (
    types.submodule {
      enable = option types.bool true;
      description = option types.str "";
      script = option (types.nullOr types.lines) null;
      after = option (types.listOf types.str) [ ];
      wants = option (types.listOf types.str) [ ];
      requires = option (types.listOf types.str) [ ];
      wantedBy = option (types.listOf types.str) [ "multi-user.target" ];
      environment = option (types.attrsOf types.str) { };
      serviceConfig = option (types.attrsOf types.anything) { };
      unitConfig = option (types.attrsOf types.anything) { };
      restartIfChanged = option types.bool true;
      stopIfChanged = option types.bool true;
      reloadIfChanged = option types.bool false;
      restartTriggers = option (types.listOf types.str) [ ];
    }
  )) { };

  # As the real module has them (nix/module.nix), but for the package, which is the bundle here.
  services.floe-agent = {
    enable = option types.bool false;
    package = option (types.nullOr types.path) null;
    hub = option (types.nullOr types.str) null;
    caCertificate = option (types.nullOr types.lines) null;
    namespace = option types.str "default";
    machine = option (types.nullOr types.str) null;
    hostKeyFile = option types.str "/etc/ssh/ssh_host_ed25519_key";
    trustedPublicKeys = option (types.listOf types.str) [ ];
    substituters = option (types.listOf types.str) [ ];
    settings = option (types.attrsOf types.anything) { };
  };
  # Two services to configure, rightly and wrongly.
  services.hello = {
    enable = option types.bool false;
    greeting = option types.str "Hello";
  };
  services.nginx = {
    enable = option types.bool false;
    recommendedGzipSettings = option types.bool false;
  };

  boot = {
    kernelVersion = option types.str "6.12.10";
    kernelParams = option (types.listOf types.str) [ ];
    initrd.text = option types.lines "";
  };

  # Variants of the system: each is built with this module more, and lies in specialisation/ of the toplevel.
  specialisation = option (types.attrsOf (
    types.submodule {
      configuration = option types.anything { };
    }
  )) { };

  system = {
    stateVersion = option types.str "26.11";
    switch.inhibitors = option (types.attrsOf types.str) { };
    preSwitchChecks = option (types.attrsOf types.lines) { };
    activationScripts = option (types.attrsOf types.lines) { };
    build.toplevel = mkOption {
      type = types.raw;
      readOnly = true;
    };
  };

  test = {
    # Any other value is another closure, and nothing else.
    marker = option types.str "";
    # Evaluation fails with this text.
    evaluationError = option (types.nullOr types.str) null;
    # The build fails, after this many seconds.
    buildFails = option types.bool false;
    buildSeconds = option types.int 0;
    # This much data that cannot be compressed, in a store path of its own.
    payloadMiB = option types.int 0;
    # The activation script fails (the switch ends with 2), or takes this long.
    activationFails = option types.bool false;
    activationSeconds = option types.int 0;
    # A service that fails (the switch ends with 4), or one that fails some time after the switch.
    unitFails = option types.bool false;
    unitFailsAfterSeconds = option (types.nullOr types.int) null;
    # A service that takes this long to start.
    unitStartSeconds = option types.int 0;
    # systemd-logind runs, and the switch asks it who is there: without an answer it ends with 11.
    logind = option types.bool false;
    # The agent of this closure does not start.
    agentFails = option types.bool false;
    # Writing the boot entry fails.
    bootLoaderFails = option types.bool false;
    # Another value than the running system's needs a reboot (the switch ends with 100).
    initInterfaceVersion = option types.int 1;
  };
}
