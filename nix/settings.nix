# What /etc/floe-agent.json may hold: a fault is found when the system is evaluated, not by an agent that does not start.
# The agent checks the same (agent/src/settings.ts); a test holds the two lists of keys together.
{ config, lib, ... }:
let
  cfg = config.services.floe-agent;
  inherit (cfg) settings;
  inherit (builtins)
    all
    elem
    isAttrs
    isBool
    isInt
    isList
    isString
    match
    ;

  isText = value: isString value && value != "";
  isName =
    value:
    isString value && builtins.stringLength value <= 253 && match "[a-z0-9]([-a-z0-9.]*[a-z0-9])?" value != null;
  isKey = value: isString value && match "[^:[:space:]]+:[A-Za-z0-9+/]{43}=" value != null;
  isPath = value: isString value && lib.hasPrefix "/" value;
  isKept = value: isPath value && !(lib.hasPrefix builtins.storeDir value);
  isAmount = value: (isInt value || builtins.isFloat value) && value >= 0;
  isListOf = ok: value: isList value && all ok value;
  isCache = value: isString value && (match "[a-z][a-z0-9+.-]*://.+" value != null || isPath value);
  isUnit = value: isString value && match "[A-Za-z0-9:_.@\\-]+\\.[a-z]+" value != null;
  # Only keys that are known, each as it must be.
  isSet =
    keys: value: isAttrs value && all (key: keys ? ${key} && keys.${key} value.${key}) (lib.attrNames value);
  isHub =
    value:
    let
      parts = if isString value then match "https://([][A-Za-z0-9._:-]*[]A-Za-z0-9])/?" value else null;
      port = if parts == null then null else match "([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+])(:([0-9]{1,5}))?" (builtins.head parts);
      number = if port == null then null else builtins.elemAt port 2;
    in
    port != null && (number == null || lib.toIntBase10 number >= 1 && lib.toIntBase10 number <= 65535);

  # By key, what it must be and the words for it. The words name the option that fills it, where there is one.
  keys = {
    hub = {
      ok = isHub;
      words = ''is not the https address of a hub; give host and port alone, "https://floe.example.com:8443" for instance'';
    };
    caFile = {
      ok = isPath;
      words = "must be the absolute path of a file with PEM certificates";
    };
    namespace = {
      ok = isName;
      words = "can't be the name of a namespace; set it to the namespace of the NixMachine";
    };
    machine = {
      ok = isName;
      words = ''can't be the name of a NixMachine (lower-case letters, digits, "-" and "."); set it to the name that the machine has in Kubernetes'';
    };
    hostKeyFile = {
      ok = isKept;
      words = "must be an absolute path on the machine, outside the store, which everyone can read";
    };
    joinTokenFile = {
      ok = isKept;
      words = "must be an absolute path on the machine, outside the store, which everyone can read";
    };
    trustedPublicKeys = {
      ok = isListOf isKey;
      words = ''holds what is no public key of Nix; write it as status.cache.publicKey of the NixConfig shows it, "name:base64"'';
    };
    substituters = {
      ok = isListOf isCache;
      words = "must be a list of URLs";
    };
    reserveMiB = {
      ok = isAmount;
      words = "must be a number of MiB, 0 or more";
    };
    generations = {
      ok = isSet {
        keep = value: isInt value && value >= 1;
        maxAgeSeconds = isAmount;
      };
      words = "must be { keep = 10; maxAgeSeconds = 2592000; } or one of the two";
    };
    bootCounting = {
      ok = isBool;
      words = "must be true or false";
    };
    usersGroup = {
      ok = isText;
      words = "must be the name of a group; with services.floe-agent.users.group = null only root may ask the agent";
    };
    secrets = {
      ok = value: isAttrs value && all (isSet { restartUnits = isListOf isUnit; reloadUnits = isListOf isUnit; }) (lib.attrValues value);
      words = ''must be by secret { restartUnits = [ "nginx.service" ]; reloadUnits = [ ]; }'';
    };
  };
  options = [
    "hub"
    "namespace"
    "machine"
    "hostKeyFile"
    "joinTokenFile"
    "trustedPublicKeys"
    "substituters"
  ];
  where = key: if elem key options then "services.floe-agent.${key}" else "services.floe-agent.settings.${key}";
  unknown = builtins.filter (key: !(keys ? ${key})) (lib.attrNames settings);
in
{
  _class = "nixos";

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = unknown == [ ];
        message = "services.floe-agent.settings: there is no key ${toString unknown}; there are ${toString (lib.attrNames keys)}.";
      }
    ]
    ++ map (key: {
      assertion = !(settings ? ${key}) || keys.${key}.ok settings.${key};
      message = "${where key}: ${builtins.toJSON settings.${key}} ${keys.${key}.words}.";
    }) (lib.attrNames keys);
  };
}
