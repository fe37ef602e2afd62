# systemd units as text, and the store path that holds them all.
{ lib, build }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    isBool
    isList
    map
    toString
    ;
  render = v: if isBool v then (if v then "true" else "false") else toString v;
  section =
    name: values:
    let
      line =
        key: value:
        if isList value then concatStringsSep "" (map (v: "${key}=${render v}\n") value) else "${key}=${render value}\n";
    in
    "[${name}]\n" + concatStringsSep "" (map (key: line key values.${key}) (attrNames values));

  serviceText =
    name: service:
    let
      script = build.writeShellScriptBin "unit-script-${name}-start" "${name}-start" "set -e\n${service.script}";
      list = key: values: lib.optionalAttrs (values != [ ]) { ${key} = concatStringsSep " " values; };
    in
    section "Unit" (
      lib.optionalAttrs (service.description != "") { Description = service.description; }
      // list "After" service.after
      // list "Wants" service.wants
      // list "Requires" service.requires
      // lib.optionalAttrs (!service.restartIfChanged) { X-RestartIfChanged = false; }
      // lib.optionalAttrs (!service.stopIfChanged) { X-StopIfChanged = false; }
      // lib.optionalAttrs service.reloadIfChanged { X-ReloadIfChanged = true; }
      // list "X-Restart-Triggers" service.restartTriggers
      // service.unitConfig
    )
    + "\n"
    + section "Service" (
      {
        Environment = map (key: ''"${key}=${service.environment.${key}}"'') (attrNames service.environment);
      }
      // lib.optionalAttrs (service.script != null) { ExecStart = "${script}/bin/${name}-start"; }
      // service.serviceConfig
    );
in
services:
let
  enabled = lib.filterAttrs (_: service: service.enable) services;
in
build.runCommand "system-units"
  {
    # One file per unit, in the form that the loop below reads.
    units = concatStringsSep "" (
      lib.mapAttrsToList (
        name: service: "== ${name}.service ${concatStringsSep " " service.wantedBy}\n${serviceText name service}"
      ) enabled
    );
    passAsFile = [ "units" ];
  }
  ''
    mkdir -p "$out"
    file=/dev/null
    while IFS= read -r line; do
      case $line in
        "== "*)
          set -- $line; unit=$2; shift 2; file=$out/$unit; : > "$file"
          for target; do mkdir -p "$out/$target.wants"; ln -s "../$unit" "$out/$target.wants/$unit"; done ;;
        *) printf '%s\n' "$line" >> "$file" ;;
      esac
    done < "$unitsPath"
  ''
